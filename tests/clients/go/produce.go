// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"os"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

func jobFor(topic string, payload string) *kafka.Message {
	return &kafka.Message{
		TopicPartition: kafka.TopicPartition{Topic: &topic, Partition: kafka.PartitionAny},
		Value:          []byte(payload),
	}
}

func produce(topic string, config *kafka.ConfigMap) {
	producer, err := kafka.NewProducer(config)
	must(err)
	reports := make(chan kafka.Event, 1)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		message := jobFor(topic, lines.Text())
		if api == "channel" { // its reports come by the channel of all events
			producer.ProduceChannel() <- message
			sayReport(<-producer.Events())
		} else if err := producer.Produce(message, reports); err != nil {
			say("refused", nameOf(err))
		} else {
			sayReport(<-reports)
		}
	}
	must(lines.Err())
	producer.Flush(30000)
	producer.Close()
}

func sayReport(event kafka.Event) {
	switch e := event.(type) {
	case *kafka.Message:
		if e.TopicPartition.Error != nil {
			say("failed", nameOf(e.TopicPartition.Error))
		} else {
			say("delivered", e.TopicPartition.Partition, int64(e.TopicPartition.Offset))
		}
	case kafka.Error:
		say("failed", nameOf(e))
	}
}
