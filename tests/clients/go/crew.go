// SPDX-License-Identifier: Apache-2.0

package main

import (
	"sync"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// Who does the jobs: whoever reads them or, with CLIENT_WORKERS, goroutines of their own, each with its partitions.
type crew struct {
	consumer *kafka.Consumer
	queues   []chan *kafka.Message
	busy     sync.WaitGroup
}

func newCrew(consumer *kafka.Consumer) *crew {
	c := &crew{consumer: consumer}
	for i := 0; i < workers; i++ {
		queue := make(chan *kafka.Message, 100)
		c.queues = append(c.queues, queue)
		c.busy.Add(1)
		go func() {
			for message := range queue {
				c.work(message)
			}
			c.busy.Done()
		}()
	}
	return c
}

func (c *crew) take(message *kafka.Message) {
	if workers == 0 {
		c.work(message)
	} else {
		c.queues[int(message.TopicPartition.Partition)%workers] <- message
	}
}

func (c *crew) work(message *kafka.Message) {
	partition, offset := message.TopicPartition.Partition, int64(message.TopicPartition.Offset)
	say("job", partition, offset, string(message.Value))
	began := time.Now()
	time.Sleep(time.Duration(workMs) * time.Millisecond)
	say("done", partition, offset)
	if times {
		say("ran", began.UnixMicro(), time.Now().UnixMicro())
	}
	if stores {
		_, err := c.consumer.StoreMessage(message)
		must(err)
	}
	if commits {
		_, err := c.consumer.CommitMessage(message)
		must(err)
	}
}

// What was taken is done.
func (c *crew) end() {
	for _, queue := range c.queues {
		close(queue)
	}
	c.busy.Wait()
}
