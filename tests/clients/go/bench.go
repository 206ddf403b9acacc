// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

func sayRate(messages int, took time.Duration) {
	line, err := json.Marshal(map[string]interface{}{"messages": messages, "seconds": took.Seconds()})
	must(err)
	say(string(line))
}

// From the first call to the last acknowledgement.
func benchProduce(topic string, count int, config *kafka.ConfigMap) {
	producer, err := kafka.NewProducer(config)
	must(err)
	acknowledged := make(chan error)
	go countReports(producer, count, acknowledged)
	random := make([]byte, 6) // no two runs have arguments in common
	_, err = rand.Read(random)
	must(err)
	run := hex.EncodeToString(random)
	began := time.Now()
	for i := 0; i < count; {
		job := fmt.Sprintf(`{"class":"Mail","args":["%s",%d],"jid":"%s-%d"}`, run, i, run, i)
		err := producer.Produce(jobFor(topic, job), nil)
		if err == nil {
			i++
		} else if err.(kafka.Error).Code() == kafka.ErrQueueFull {
			time.Sleep(time.Millisecond)
		} else {
			must(err)
		}
	}
	must(<-acknowledged)
	sayRate(count, time.Since(began))
	producer.Close()
}

func countReports(producer *kafka.Producer, count int, acknowledged chan error) {
	for event := range producer.Events() {
		message, isReport := event.(*kafka.Message)
		if !isReport {
			continue
		}
		if message.TopicPartition.Error != nil {
			acknowledged <- message.TopicPartition.Error
			return
		}
		if count--; count == 0 {
			acknowledged <- nil
			return
		}
	}
}

// From the first message to the last.
func benchConsume(topic string, count int, config *kafka.ConfigMap) {
	consumer, err := kafka.NewConsumer(config)
	must(err)
	must(consumer.SubscribeTopics([]string{topic}, nil))
	var began time.Time
	for got := 0; got < count; {
		message, err := consumer.ReadMessage(time.Second)
		if err != nil {
			continue
		}
		if got++; got == 1 {
			began = time.Now()
		}
		if stores {
			_, err = consumer.StoreMessage(message)
			must(err)
		}
	}
	sayRate(count, time.Since(began))
	must(consumer.Close())
}
