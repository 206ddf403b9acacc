// SPDX-License-Identifier: Apache-2.0
'use strict';
// An ordinary program on node-rdkafka.

const kafka = require('node-rdkafka');
const { version } = require('node-rdkafka/package.json');
const bench = require('./bench');
const callbacks = require('./callbacks');
const { run, say } = require('./program');

run({
  produce: (...words) => callbacks.produce(kafka, ...words),
  consume: (...words) => callbacks.consume(kafka, ...words),
  'bench-produce': (...words) => bench.produce(kafka, ...words),
  'bench-consume': (...words) => bench.consume(kafka, ...words),
  version: () => say(version.replace(/^v/, ''), kafka.librdkafkaVersion),
});
