// SPDX-License-Identifier: Apache-2.0
'use strict';
// How fast the client produces and consumes jobs that do nothing.

const { connect, disconnect, newConsumer } = require('./callbacks');

function tell(messages, began) {
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  console.log(JSON.stringify({ messages, seconds }));
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

async function produce(kafka, topic, count, properties) {
  const producer = new kafka.Producer({ ...properties, dr_cb: true });
  let failure = null;
  let left = count;
  const reported = new Promise((resolve) => {
    producer.on('delivery-report', (error) => {
      failure = failure || error;
      left -= 1;
      if (left === 0) resolve();
    });
  });
  await connect(producer);
  producer.setPollInterval(1);
  const began = process.hrtime.bigint();
  for (let number = 0; number < count; number += 1) {
    const job = { class: 'Mail', args: [number], jid: `bench-${number}` };
    for (let sent = false; !sent;) {
      try {
        producer.produce(topic, null, Buffer.from(JSON.stringify(job)));
        sent = true;
      } catch (error) {
        if (error.code !== kafka.CODES.ERRORS.ERR__QUEUE_FULL) throw error;
        await turn();
      }
    }
    if (number % 100 === 99) await turn(); // its reports come in between, as in a program that has other things to do
  }
  await reported;
  tell(count, began);
  await disconnect(producer);
  if (failure) throw failure;
}

async function consume(kafka, topic, count, properties) {
  const consumer = newConsumer(kafka, properties);
  await connect(consumer);
  consumer.subscribe([topic]);
  await new Promise((resolve) => {
    let began = null;
    let taken = 0;
    consumer.on('data', () => {
      if (began === null) began = process.hrtime.bigint();
      taken += 1;
      if (taken !== count) return;
      tell(count, began);
      resolve();
    });
    consumer.consume();
  });
  await disconnect(consumer);
}

module.exports = { consume, produce };
