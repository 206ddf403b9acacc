// SPDX-License-Identifier: Apache-2.0
'use strict';
// What the programs on Node's clients share. They know nothing of jobgate but the properties that they are given.
//
//   PROGRAM produce TOPIC NAME=VALUE...          one message a line of standard input, until it ends
//   PROGRAM consume TOPIC NAME=VALUE...          until SIGTERM
//   PROGRAM bench-produce TOPIC N NAME=VALUE...  N small jobs, each with arguments of its own
//   PROGRAM bench-consume TOPIC N NAME=VALUE...  until it got N messages
//   PROGRAM version
//
// CLIENT_API: the client's way: flowing (unless named), batches or, of kafka-javascript, kafkajs. CLIENT_WORK_MS: how
// long each job takes. CLIENT_BATCH: take up to so many messages a call. CLIENT_STORE, CLIENT_COMMIT: store, or
// commit, each message's offset when its job is done. CLIENT_TIMES: say from when to when each job ran.
// CLIENT_CONCURRENT: kafkajs takes jobs of so many partitions at once. CLIENT_FAIL: with kafkajs, the job at that
// offset throws at first.
// They print the lines that c_client prints; the benchmarks print one line of JSON.

const readline = require('readline');

const setting = process.env;
const say = (...words) => console.log(words.join(' '));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const nowUs = () => process.hrtime.bigint() / 1000n;

// As people write them in JavaScript: numbers and booleans, not text.
function value(text) {
  if (text === 'true' || text === 'false') return text === 'true';
  return /^-?\d{1,15}$/.test(text) ? Number(text) : text;
}

function properties(words) {
  return Object.fromEntries(words.map((word) => {
    const [name, ...rest] = word.split('=');
    return [name, value(rest.join('='))];
  }));
}

// A client's error by librdkafka's own name for it.
function nameOf(codes, error) {
  const found = Object.entries(codes).find(([, code]) => code === error.code);
  return found ? found[0].replace(/^ERR_/, '') : error.message;
}

async function work(partition, offset, payload) {
  const began = nowUs();
  say('job', partition, offset, payload);
  await sleep(Number(setting.CLIENT_WORK_MS || 0));
  const ended = nowUs();
  say('done', partition, offset);
  if (setting.CLIENT_TIMES) say('ran', began, ended);
}

function lines() {
  return readline.createInterface({ input: process.stdin });
}

// Resolves at SIGTERM.
function asked() {
  return new Promise((resolve) => process.once('SIGTERM', resolve));
}

// Nothing ends the process but that it has nothing left to do.
async function run(programs) {
  const [word, topic, ...rest] = process.argv.slice(2);
  const program = programs[word];
  if (!program) {
    console.error(`usage: ${process.argv[1]} ${Object.keys(programs).join('|')} ...`);
    process.exitCode = 2;
    return;
  }
  try {
    if (word.startsWith('bench-')) await program(topic, Number(rest[0]), properties(rest.slice(1)));
    else await program(topic, properties(rest));
    if (topic && !word.startsWith('bench-')) say('closed');
  } catch (error) {
    console.error(`${error.constructor.name}: ${error.message}`);
    process.exitCode = 2;
  }
}

module.exports = { asked, lines, nameOf, run, say, setting, work };
