// SPDX-License-Identifier: Apache-2.0
//! A program as people write them on the rdkafka crate. It knows nothing of jobgate but the property that names it; the
//! rest stands in the file that JOBGATE_CONFIG names.
//!
//!   client produce TOPIC NAME=VALUE...   one message a line of standard input, until it ends
//!   client consume TOPIC NAME=VALUE...   until SIGTERM
//!   client version                       librdkafka's
//!
//! CLIENT_API: `base` (BaseConsumer) or `stream` (StreamConsumer, in a task that any of tokio's threads may run).
//! CLIENT_WORK_MS: how long each job takes. CLIENT_STORE: store each message's offset when its job is done.
//! CLIENT_SIDE_BY_SIDE: with a stream, run up to so many jobs at once. CLIENT_PASS_OVER: pass over ends of partitions.
//! It prints the lines that c_client prints, with the crate's names of errors, and of an error no more than the crate tells.

use std::env;
use std::io::{self, BufRead};
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_util::StreamExt;
use rdkafka::config::{ClientConfig, FromClientConfig};
use rdkafka::consumer::{BaseConsumer, Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::util::get_rdkafka_version;
use rdkafka::Message;

const TICK: Duration = Duration::from_millis(100);

static OVER: AtomicBool = AtomicBool::new(false);

extern "C" fn on_signal(_: libc::c_int) {
    OVER.store(true, Ordering::SeqCst);
}

fn over() -> bool {
    OVER.load(Ordering::SeqCst)
}

fn number(name: &str) -> u64 {
    env::var(name).map_or(0, |text| text.parse().expect(name))
}

fn passes_over() -> bool {
    env::var("CLIENT_PASS_OVER").is_ok()
}

fn name_of(error: &KafkaError) -> String {
    match error {
        KafkaError::PartitionEOF(partition) => format!("PartitionEOF {}", partition),
        KafkaError::MessageConsumption(code) | KafkaError::MessageProduction(code) => format!("{:?}", code),
        other => other.to_string(),
    }
}

fn create<T: FromClientConfig>(config: &ClientConfig) -> T {
    config.create().unwrap_or_else(|error| {
        eprintln!("client: {}", error);
        exit(2)
    })
}

async fn produce(topic: &str, config: &ClientConfig) {
    let producer: FutureProducer = create(config);
    for line in io::stdin().lock().lines() {
        let line = line.expect("standard input");
        let record: FutureRecord<(), str> = FutureRecord::to(topic).payload(&line);
        match producer.send_result(record) {
            Err((error, _)) => println!("refused {}", name_of(&error)),
            Ok(delivery) => match delivery.await.expect("its delivery is told") {
                Ok((partition, offset)) => println!("delivered {} {}", partition, offset),
                Err((error, _)) => println!("failed {}", name_of(&error)),
            },
        }
    }
    producer.flush(Duration::from_secs(30)).expect("all is sent");
}

fn begin(message: &BorrowedMessage) {
    let payload = String::from_utf8_lossy(message.payload().unwrap_or_default());
    println!("job {} {} {}", message.partition(), message.offset(), payload);
}

fn end<C: Consumer>(consumer: &C, message: &BorrowedMessage, stores: bool) {
    println!("done {} {}", message.partition(), message.offset());
    if stores {
        if let Err(error) = consumer.store_offset_from_message(message) {
            eprintln!("client: {}", error);
        }
    }
}

fn consume_base(topic: &str, config: &ClientConfig, work: Duration, stores: bool) {
    let consumer: BaseConsumer = create(config);
    consumer.subscribe(&[topic]).expect("a subscription");
    while !over() {
        match consumer.poll(TICK) {
            None => continue,
            Some(Err(KafkaError::PartitionEOF(_))) if passes_over() => continue,
            Some(Err(error)) => println!("error {}", name_of(&error)),
            Some(Ok(message)) => {
                begin(&message);
                thread::sleep(work);
                end(&consumer, &message, stores);
            }
        }
    }
}

async fn consume_stream(consumer: Arc<StreamConsumer>, work: Duration, stores: bool) {
    while !over() {
        match tokio::time::timeout(TICK, consumer.recv()).await {
            Err(_) => continue,
            Ok(Err(KafkaError::PartitionEOF(_))) if passes_over() => continue,
            Ok(Err(error)) => println!("error {}", name_of(&error)),
            Ok(Ok(message)) => {
                begin(&message);
                tokio::time::sleep(work).await;
                end(&*consumer, &message, stores);
            }
        }
    }
}

async fn run(message: KafkaResult<BorrowedMessage<'_>>, work: Duration) -> Option<BorrowedMessage<'_>> {
    match message {
        Err(error) => {
            println!("error {}", name_of(&error));
            None
        }
        Ok(message) => {
            begin(&message);
            tokio::time::sleep(work).await;
            Some(message)
        }
    }
}

/// `buffered` gives them in order, whichever ends first: so an offset is stored when all before it are done.
async fn consume_side_by_side(consumer: &StreamConsumer, count: usize, work: Duration, stores: bool) {
    let end_of_all = async {
        while !over() {
            tokio::time::sleep(TICK).await;
        }
    };
    consumer
        .stream()
        .take_until(Box::pin(end_of_all))
        .map(|message| run(message, work))
        .buffered(count)
        .for_each(|message| {
            if let Some(message) = message {
                end(consumer, &message, stores);
            }
            async {}
        })
        .await;
}

fn consume(topic: &str, config: &ClientConfig, runtime: &tokio::runtime::Runtime) {
    let handler: extern "C" fn(libc::c_int) = on_signal;
    unsafe { libc::signal(libc::SIGTERM, handler as libc::sighandler_t) };
    let work = Duration::from_millis(number("CLIENT_WORK_MS"));
    let stores = env::var("CLIENT_STORE").is_ok();
    let side_by_side = number("CLIENT_SIDE_BY_SIDE") as usize;
    if env::var("CLIENT_API").as_deref() != Ok("stream") {
        return consume_base(topic, config, work, stores);
    }
    let _within = runtime.enter();
    let consumer: Arc<StreamConsumer> = Arc::new(create(config));
    consumer.subscribe(&[topic]).expect("a subscription");
    if side_by_side > 0 {
        runtime.block_on(consume_side_by_side(&consumer, side_by_side, work, stores));
    } else {
        let task = runtime.spawn(consume_stream(consumer.clone(), work, stores));
        runtime.block_on(task).expect("the task ends");
    }
}

fn main() {
    let words: Vec<String> = env::args().collect();
    if words.len() > 1 && words[1] == "version" {
        println!("{}", get_rdkafka_version().1);
        return;
    }
    if words.len() < 3 {
        eprintln!("usage: {} produce|consume TOPIC NAME=VALUE...", words[0]);
        exit(2);
    }
    let mut config = ClientConfig::new();
    for word in &words[3..] {
        let (name, value) = word.split_once('=').unwrap_or_else(|| {
            eprintln!("{}: no value", word);
            exit(2)
        });
        config.set(name, value);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().expect("a runtime");
    match words[1].as_str() {
        "produce" => runtime.block_on(produce(&words[2], &config)),
        _ => consume(&words[2], &config, &runtime),
    }
    println!("closed");
}
