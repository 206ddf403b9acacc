// SPDX-License-Identifier: Apache-2.0
'use strict';
// An ordinary program on @confluentinc/kafka-javascript, by one of its two interfaces.

const kafka = require('@confluentinc/kafka-javascript');
const { version } = require('@confluentinc/kafka-javascript/package.json');
const bench = require('./bench');
const callbacks = require('./callbacks');
const kafkajs = require('./kafkajs');
const { run, say, setting } = require('./program');

const [api, client] = setting.CLIENT_API === 'kafkajs' ? [kafkajs, kafka.KafkaJS] : [callbacks, kafka];

run({
  produce: (...words) => api.produce(client, ...words),
  consume: (...words) => api.consume(client, ...words),
  'bench-produce': (...words) => bench.produce(kafka, ...words),
  'bench-consume': (...words) => bench.consume(kafka, ...words),
  version: () => say(version, kafka.librdkafkaVersion),
});
