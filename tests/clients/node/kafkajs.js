// SPDX-License-Identifier: Apache-2.0
'use strict';
// The interface of kafka-javascript that is like KafkaJS's.

const { asked, lines, nameOf, say, setting, work } = require('./program');

async function produce({ Kafka, ErrorCodes }, topic, properties) {
  const producer = new Kafka().producer(properties);
  await producer.connect();
  for await (const line of lines()) {
    try {
      const [sent] = await producer.send({ topic, messages: [{ value: line }] });
      say('delivered', sent.partition, sent.baseOffset);
    } catch (error) {
      say('refused', nameOf(ErrorCodes, error));
    }
  }
  await producer.disconnect();
}

// The job at that offset fails the first time.
function failOnce(offset) {
  if (offset !== setting.CLIENT_FAIL) return;
  delete setting.CLIENT_FAIL;
  throw new Error('the job failed');
}

async function consume({ Kafka }, topic, properties) {
  const consumer = new Kafka().consumer(properties);
  const over = asked();
  await consumer.connect();
  await consumer.subscribe({ topics: [topic] });
  await consumer.run({
    partitionsConsumedConcurrently: Number(setting.CLIENT_CONCURRENT || 1),
    eachMessage: async ({ partition, message }) => {
      failOnce(message.offset);
      await work(partition, message.offset, message.value.toString());
    },
  });
  await over;
  await consumer.disconnect();
}

module.exports = { consume, produce };
