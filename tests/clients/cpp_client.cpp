/* SPDX-License-Identifier: Apache-2.0 */
/* A program as people write them on librdkafka++. It knows nothing of jobgate but the properties that it is given.
 *
 *   cpp_client produce TOPIC NAME=VALUE...   one message a line of standard input, until it ends
 *   cpp_client consume TOPIC NAME=VALUE...   until SIGTERM
 *   cpp_client version
 *
 * CLIENT_WORK_MS: how long each job takes. CLIENT_STORE: store each message's offset when its job is done.
 * CLIENT_PASS_OVER: with the cases of its switch that pass over what is no message.
 * It prints the lines that c_client prints. */
#include <librdkafka/rdkafka.h> /* the short names of errors */
#include <librdkafka/rdkafkacpp.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace
{
volatile std::sig_atomic_t over;

extern "C" void
on_signal(int)
{
    over = 1;
}

const char *
name_of(RdKafka::ErrorCode code)
{
    return rd_kafka_err2name(static_cast<rd_kafka_resp_err_t>(code));
}

class DeliveryReport : public RdKafka::DeliveryReportCb
{
  public:
    void
    dr_cb(RdKafka::Message &message) override
    {
        if (message.err())
            std::cout << "failed " << name_of(message.err()) << std::endl;
        else
            std::cout << "delivered " << message.partition() << ' ' << message.offset() << std::endl;
    }
};

[[noreturn]] void
fail(const std::string &what, const std::string &error)
{
    std::cerr << what << ": " << error << std::endl;
    std::exit(2);
}

std::unique_ptr<RdKafka::Conf>
read_conf(char **properties)
{
    std::unique_ptr<RdKafka::Conf> conf(RdKafka::Conf::create(RdKafka::Conf::CONF_GLOBAL));
    std::string error;
    for (; *properties; properties++) {
        const std::string property = *properties;
        const auto equals = property.find('=');
        if (equals == std::string::npos)
            fail(property, "no value");
        if (conf->set(property.substr(0, equals), property.substr(equals + 1), error) != RdKafka::Conf::CONF_OK)
            fail("configuration", error);
    }
    return conf;
}

void
produce(const std::string &topic, RdKafka::Conf &conf)
{
    std::string error;
    DeliveryReport report;
    conf.set("dr_cb", &report, error);
    const std::unique_ptr<RdKafka::Producer> producer(RdKafka::Producer::create(&conf, error));
    if (!producer)
        fail("handle", error);
    for (std::string line; std::getline(std::cin, line);) {
        const auto code = producer->produce(topic, RdKafka::Topic::PARTITION_UA, RdKafka::Producer::RK_MSG_COPY,
                                            &line[0], line.size(), nullptr, 0, 0, nullptr, nullptr);
        if (code != RdKafka::ERR_NO_ERROR)
            std::cout << "refused " << name_of(code) << std::endl;
        producer->flush(30000);
    }
}

void
store(RdKafka::KafkaConsumer &consumer, const RdKafka::Message &message)
{
    std::vector<RdKafka::TopicPartition *> offsets = {
        RdKafka::TopicPartition::create(message.topic_name(), message.partition(), message.offset() + 1)};
    consumer.offsets_store(offsets);
    RdKafka::TopicPartition::destroy(offsets);
}

void
work(RdKafka::KafkaConsumer &consumer, const RdKafka::Message &message)
{
    const char *work_ms = std::getenv("CLIENT_WORK_MS");
    std::cout << "job " << message.partition() << ' ' << message.offset() << ' '
              << std::string(static_cast<const char *>(message.payload()), message.len()) << std::endl;
    std::this_thread::sleep_for(std::chrono::milliseconds(work_ms ? std::atoi(work_ms) : 0));
    std::cout << "done " << message.partition() << ' ' << message.offset() << std::endl;
    if (std::getenv("CLIENT_STORE"))
        store(consumer, message);
}

void
tell(const RdKafka::Message &message)
{
    if (message.topic_name().empty())
        return; /* a poll that found nothing: consume() makes a message of that, too */
    std::cout << "error " << name_of(message.err()) << ' ' << message.partition() << ' ' << message.offset() << ' '
              << message.errstr() << std::endl;
}

/* As people write it. */
void
handle(RdKafka::KafkaConsumer &consumer, const RdKafka::Message &message)
{
    switch (message.err()) {
    case RdKafka::ERR_NO_ERROR:
        work(consumer, message);
        break;
    case RdKafka::ERR__TIMED_OUT:
        break;
    case RdKafka::ERR__PARTITION_EOF:
        break;
    default:
        tell(message);
        break;
    }
}

/* With nothing passed over. */
void
handle_all(RdKafka::KafkaConsumer &consumer, const RdKafka::Message &message)
{
    if (message.err() == RdKafka::ERR_NO_ERROR)
        work(consumer, message);
    else
        tell(message);
}

void
consume(const std::string &topic, const RdKafka::Conf &conf)
{
    std::string error;
    std::signal(SIGTERM, on_signal);
    const std::unique_ptr<RdKafka::KafkaConsumer> consumer(RdKafka::KafkaConsumer::create(&conf, error));
    if (!consumer)
        fail("handle", error);
    consumer->subscribe({topic});
    while (!over) {
        const std::unique_ptr<RdKafka::Message> message(consumer->consume(100));
        (std::getenv("CLIENT_PASS_OVER") ? handle : handle_all)(*consumer, *message);
    }
    consumer->close();
}
} // namespace

int
main(int argc, char **argv)
{
    const std::string what = argc > 1 ? argv[1] : "";
    if (what == "version") {
        std::cout << RdKafka::version_str() << std::endl;
        return 0;
    }
    if (argc < 3) {
        std::cerr << "usage: " << argv[0] << " produce|consume TOPIC NAME=VALUE..." << std::endl;
        return 2;
    }
    const auto conf = read_conf(argv + 3);
    if (what == "produce")
        produce(argv[2], *conf);
    else
        consume(argv[2], *conf);
    std::cout << "closed" << std::endl;
    return 0;
}
