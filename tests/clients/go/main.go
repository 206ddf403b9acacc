// SPDX-License-Identifier: Apache-2.0

// A program as people write them on confluent-kafka-go. It knows nothing of jobgate but the properties that it is given.
//
//	client produce TOPIC NAME=VALUE...          one message a line of standard input, until it ends
//	client consume TOPIC NAME=VALUE...          until SIGTERM
//	client bench-produce TOPIC N NAME=VALUE...  N small jobs, each with arguments of its own
//	client bench-consume TOPIC N NAME=VALUE...  until it got N messages
//	client version
//
// CLIENT_API: readmessage (unless named), poll or channel; when producing, channel. CLIENT_WORK_MS: how long each job
// takes. CLIENT_STORE, CLIENT_COMMIT: store, or commit, each message's offset when its job is done. CLIENT_WORKERS: so many
// goroutines do the jobs, those of a partition in order. CLIENT_PASS_OVER: pass over what is no job, as docs/clients.md
// says. CLIENT_TIMES: say from when to when each job ran.
// It prints the lines that c_client prints; the benchmarks print one line of JSON.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

var (
	api      = os.Getenv("CLIENT_API")
	workMs   = number(os.Getenv("CLIENT_WORK_MS"))
	workers  = number(os.Getenv("CLIENT_WORKERS"))
	stores   = os.Getenv("CLIENT_STORE") != ""
	commits  = os.Getenv("CLIENT_COMMIT") != ""
	times    = os.Getenv("CLIENT_TIMES") != ""
	passOver = os.Getenv("CLIENT_PASS_OVER") != ""
)

var names = map[kafka.ErrorCode]string{
	kafka.ErrPartitionEOF:     "_PARTITION_EOF",
	kafka.ErrTimedOut:         "_TIMED_OUT",
	kafka.ErrState:            "_STATE",
	kafka.ErrUnknownPartition: "_UNKNOWN_PARTITION",
	kafka.ErrQueueFull:        "_QUEUE_FULL",
}

func number(text string) int {
	if text == "" {
		return 0
	}
	value, err := strconv.Atoi(text)
	must(err)
	return value
}

func say(words ...interface{}) {
	fmt.Println(words...)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func nameOf(err error) string {
	code := err.(kafka.Error).Code()
	if name, known := names[code]; known {
		return name
	}
	return fmt.Sprintf("error-%d", code)
}

func readConfig(properties []string) *kafka.ConfigMap {
	config := kafka.ConfigMap{}
	for _, property := range properties {
		pair := strings.SplitN(property, "=", 2)
		if len(pair) != 2 {
			must(fmt.Errorf("%s: no value", property))
		}
		config[pair[0]] = pair[1]
		if strings.HasPrefix(pair[0], "go.") { // the client's own, of which these are used here
			config[pair[0]] = pair[1] == "true"
		}
	}
	return &config
}

func untilTerminated() chan os.Signal {
	over := make(chan os.Signal, 1)
	signal.Notify(over, syscall.SIGTERM)
	return over
}

// What the consumer got goes to `take`, and is gone when it returns.
func consume(topic string, config *kafka.ConfigMap) {
	if api == "channel" {
		must(config.SetKey("go.events.channel.enable", true))
	}
	consumer, err := kafka.NewConsumer(config)
	must(err)
	over := untilTerminated()
	must(consumer.SubscribeTopics([]string{topic}, nil))
	crew := newCrew(consumer)
	switch api {
	case "", "readmessage":
		readMessages(consumer, crew, over)
	case "poll":
		poll(consumer, crew, over)
	case "channel":
		takeFromChannel(consumer, crew, over)
	default:
		must(fmt.Errorf("CLIENT_API=%s: no such way", api))
	}
	crew.end()
	must(consumer.Close())
}

func readMessages(consumer *kafka.Consumer, crew *crew, over chan os.Signal) {
	for len(over) == 0 {
		message, err := consumer.ReadMessage(100 * time.Millisecond)
		switch {
		case err == nil:
			crew.take(message)
		case err.(kafka.Error).IsTimeout() && (message == nil || passOver):
			continue
		case message == nil:
			say("error", nameOf(err), -1, -1, err)
		default:
			sayError(err, message)
		}
	}
}

func poll(consumer *kafka.Consumer, crew *crew, over chan os.Signal) {
	for len(over) == 0 {
		handle(consumer.Poll(100), crew)
	}
}

func takeFromChannel(consumer *kafka.Consumer, crew *crew, over chan os.Signal) {
	for {
		select {
		case event := <-consumer.Events():
			handle(event, crew)
		case <-over:
			return
		}
	}
}

func handle(event kafka.Event, crew *crew) {
	switch e := event.(type) {
	case *kafka.Message:
		if e.TopicPartition.Error != nil && passOver {
			return
		}
		if e.TopicPartition.Error != nil {
			sayError(e.TopicPartition.Error, e)
		} else {
			crew.take(e)
		}
	case kafka.PartitionEOF:
		say("error", "_PARTITION_EOF", e.Partition, int64(e.Offset), e.Error)
	case kafka.Error:
		say("error", nameOf(e), -1, -1, e)
	}
}

func clientVersion() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if strings.HasSuffix(module.Path, "/confluent-kafka-go/v2") {
			return module.Version
		}
	}
	return "unknown"
}

// The text is where other messages have their payload.
func sayError(err error, message *kafka.Message) {
	say("error", nameOf(err), message.TopicPartition.Partition, int64(message.TopicPartition.Offset),
		string(message.Value))
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "version" {
		_, linked := kafka.LibraryVersion()
		say(clientVersion(), linked, kafka.LibrdkafkaLinkInfo)
		return
	}
	if len(os.Args) < 3 {
		must(fmt.Errorf("usage: %s produce|consume|bench-produce|bench-consume TOPIC [N] NAME=VALUE...", os.Args[0]))
	}
	topic, words := os.Args[2], os.Args[3:]
	switch os.Args[1] {
	case "produce":
		produce(topic, readConfig(words))
	case "consume":
		consume(topic, readConfig(words))
	case "bench-produce":
		benchProduce(topic, number(words[0]), readConfig(words[1:]))
		return
	case "bench-consume":
		benchConsume(topic, number(words[0]), readConfig(words[1:]))
		return
	}
	say("closed")
}
