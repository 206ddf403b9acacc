// SPDX-License-Identifier: Apache-2.0
'use strict';
// The interface that node-rdkafka has, and kafka-javascript beside its own.

const { asked, lines, nameOf, say, setting, work } = require('./program');

// What librdkafka and its plugins log comes as an event, and is lost where nobody listens.
function tellLog(client) {
  client.on('event.log', (entry) => console.error(entry.fac, entry.message));
  return client;
}

function connect(client) {
  return new Promise((resolve, reject) => client.connect({}, (error) => (error ? reject(error) : resolve())));
}

function disconnect(client) {
  return new Promise((resolve) => client.disconnect(resolve));
}

async function produce(kafka, topic, properties) {
  const producer = tellLog(new kafka.Producer({ ...properties, dr_cb: true }));
  let reported = null;
  producer.on('delivery-report', (error, report) => {
    if (error) say('failed', nameOf(kafka.CODES.ERRORS, error));
    else say('delivered', report.partition, report.offset);
    reported();
  });
  await connect(producer);
  producer.setPollInterval(5);
  for await (const line of lines()) {
    const report = new Promise((resolve) => { reported = resolve; });
    try {
      producer.produce(topic, null, Buffer.from(line));
      await report;
    } catch (error) {
      say('refused', nameOf(kafka.CODES.ERRORS, error));
    }
  }
  await disconnect(producer);
}

function newConsumer(kafka, properties) {
  // A topic's own, which node-rdkafka does not look for among the others.
  const { 'auto.offset.reset': reset, ...global } = properties;
  const consumer = tellLog(new kafka.KafkaConsumer(global, reset ? { 'auto.offset.reset': reset } : {}));
  consumer.on('partition.eof', (eof) => say('error', '_PARTITION_EOF', eof.partition, eof.offset));
  consumer.on('warning', (warning) => say('warning', nameOf(kafka.CODES.ERRORS, warning)));
  return consumer;
}

async function handle(consumer, message) {
  await work(message.partition, message.offset, message.value.toString());
  const { topic, partition, offset } = message;
  if (setting.CLIENT_STORE) consumer.offsetsStore([{ topic, partition, offset: offset + 1 }]);
  if (setting.CLIENT_COMMIT) consumer.commitMessage(message);
}

// The client's own thread polls, and its messages come as events, however many wait already.
function flow(consumer) {
  let over = false;
  let last = Promise.resolve();
  consumer.on('data', (message) => { last = last.then(() => over || handle(consumer, message)); });
  consumer.consume();
  return async () => {
    over = true;
    await last;
  };
}

function takeSome(consumer, count) {
  return new Promise((resolve, reject) => {
    consumer.consume(count, (error, messages) => (error ? reject(error) : resolve(messages)));
  });
}

async function takeInTurn(kafka, consumer, isOver) {
  while (!isOver()) {
    try {
      for (const message of await takeSome(consumer, Number(setting.CLIENT_BATCH || 1))) {
        if (!isOver()) await handle(consumer, message);
      }
    } catch (error) {
      say('error', nameOf(kafka.CODES.ERRORS, error), error.message);
    }
  }
}

function takeBatches(kafka, consumer) {
  let over = false;
  consumer.setDefaultConsumeTimeout(100);
  const ended = takeInTurn(kafka, consumer, () => over);
  return () => {
    over = true;
    return ended;
  };
}

async function consume(kafka, topic, properties) {
  const consumer = newConsumer(kafka, properties);
  await connect(consumer);
  consumer.subscribe([topic]);
  const end = setting.CLIENT_API === 'batches' ? takeBatches(kafka, consumer) : flow(consumer);
  await asked();
  await end();
  await disconnect(consumer);
}

module.exports = { connect, consume, disconnect, newConsumer, produce };
