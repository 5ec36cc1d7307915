// BullMQ against the server on the port that is given: `node bullmq_jobs.js PORT`, with bullmq and ioredis in
// NODE_PATH. Started by bullmq_jobs.py. `node bullmq_jobs.js PORT hang` is the worker that gets killed.
'use strict';
const assert = require('node:assert');
const { spawn } = require('node:child_process');
const { Queue, Worker, QueueEvents, FlowProducer, UnrecoverableError } = require('bullmq');

const port = Number(process.argv[2]);
const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null };
const open = [];
const keep = (thing) => (thing.setMaxListeners(500), open.push(thing), thing);
const queue = (name, more) => keep(new Queue(name, { connection, ...more }));
const worker = (name, f, more) => keep(new Worker(name, f, { connection, drainDelay: 1, ...more }));
const events = async (name) => {
  const e = keep(new QueueEvents(name, { connection, blockingTimeout: 1000 }));
  await e.waitUntilReady();
  return e;
};
const closeAll = async () => {
  await Promise.all(open.splice(0).map((thing) => thing.close()));
};
async function eventually(condition, what) {
  const end = Date.now() + 30000;
  for (;;) {
    if (await condition()) return;
    assert(Date.now() < end, `${what}: not within 30 s`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
const done = (job, e) => job.waitUntilFinished(e, 30000);

async function jobs() {
  const q = queue('mail'), e = await events('mail');
  const times = {};
  for (let i = 0; i < 3; i++) {
    worker('mail', async (job) => {
      times[job.id] = (times[job.id] || 0) + 1;
      if (job.name === 'fail') throw new UnrecoverableError('no');
      if (job.name === 'third' && job.attemptsMade < 2) throw new Error('not yet');
      await job.updateProgress(50);
      await job.log('working');
      return { sum: job.data.x + job.data.y };
    }, { concurrency: 5 });
  }
  const single = [];
  for (let i = 0; i < 30; i++) single.push(await q.add('add', { x: i, y: 1 }));
  const bulk = await q.addBulk([...Array(100).keys()].map((i) => ({ name: 'add', data: { x: i, y: 2 } })));
  const sums = await Promise.all([...single, ...bulk].map((job) => done(job, e)));
  assert.deepStrictEqual(sums.map((r) => r.sum), [...Array(30).keys()].map((i) => i + 1).concat([...Array(100).keys()].map((i) => i + 2)));
  const third = await q.add('third', { x: 1, y: 1 }, { attempts: 3, backoff: { type: 'fixed', delay: 50 } });
  assert.deepStrictEqual(await done(third, e), { sum: 2 });
  const failed = await q.add('fail', {});
  await assert.rejects(done(failed, e), /no/);
  assert.strictEqual(await failed.getState(), 'failed');
  assert(Object.entries(times).every(([id, n]) => n === (id === third.id ? 3 : 1)), 'a job ran twice');
  assert.deepStrictEqual((await q.getJobLogs(single[0].id)).logs, ['working']);
  const { paused, ...counts } = await q.getJobCounts('completed', 'failed', 'waiting', 'active', 'delayed');
  assert.deepStrictEqual(counts, { completed: 131, failed: 1, waiting: 0, active: 0, delayed: 0 });
  assert.strictEqual((await q.getJob(single[3].id)).returnvalue.sum, 4);
  await failed.remove();
  await q.clean(0, 1000, 'completed');
  assert.strictEqual(await q.getCompletedCount(), 0);
}

async function times() {
  const q = queue('later'), e = await events('later'), ran = [];
  const began = Date.now();
  const delayed = await q.add('delayed', {}, { delay: 600 });
  assert.strictEqual(await delayed.getState(), 'delayed');
  for (let n = 1; n <= 10; n++) await q.add('p', { n }, { priority: 11 - n });
  await q.add('p', { n: 99 });
  worker('later', async (job) => { ran.push(job.name === 'p' ? job.data.n : job.name); return Date.now(); });
  assert((await done(delayed, e)) >= began + 600);
  assert.deepStrictEqual(ran.filter(Number.isInteger), [99, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
  const unique = await q.add('once', {}, { jobId: 'the-one', delay: 3600000 });
  await q.add('once', {}, { jobId: 'the-one' });
  assert.strictEqual(await q.getDelayedCount(), 1);
  await unique.promote();
  await done(unique, e);
  if (q.upsertJobScheduler) {
    await q.upsertJobScheduler('tick', { every: 100 }, { name: 'tick' });
    await eventually(() => ran.filter((n) => n === 'tick').length >= 3, 'a scheduler that ticks');
    await q.removeJobScheduler('tick');
  } else {
    await q.add('tick', {}, { repeat: { every: 100 } });
    await eventually(() => ran.filter((n) => n === 'tick').length >= 3, 'a job that repeats');
    await q.removeRepeatable('tick', { every: 100 });
  }
  await q.pause();
  await q.add('p', { n: 'paused' });
  assert(await q.isPaused());
  await q.resume();
  await eventually(() => ran.includes('paused'), 'the job after a pause');
  await q.obliterate({ force: true });
}

async function flows() {
  const e = await events('parents');
  const flow = keep(new FlowProducer({ connection }));
  const seen = [];
  worker('children', async (job) => { seen.push(job.data.n); return job.data.n * 10; });
  worker('parents', async (job) => Object.values(await job.getChildrenValues()).sort((a, b) => a - b));
  const tree = await flow.add({
    name: 'root', queueName: 'parents',
    children: [...Array(6).keys()].map((n) => ({ name: 'leaf', queueName: 'children', data: { n } }))
      .concat([{ name: 'middle', queueName: 'parents', children: [{ name: 'leaf', queueName: 'children', data: { n: 9 } }] }]),
  });
  const result = await done(tree.job, e);
  assert.deepStrictEqual(result.flat().sort((a, b) => a - b), [0, 10, 20, 30, 40, 50, 90]);
  assert.strictEqual(seen.length, 7);
}

async function limits() {
  const q = queue('limited'), e = await events('limited'), at = [];
  worker('limited', async () => { at.push(Date.now()); }, { limiter: { max: 3, duration: 400 } });
  const all = await q.addBulk([...Array(9).keys()].map((n) => ({ name: 'x', data: { n } })));
  await Promise.all(all.map((job) => done(job, e)));
  // Three windows; a process that was held up may have noted the first late.
  assert(at[8] - at[0] >= 500, `too fast: ${at.map((t) => t - at[0])}`);
}

async function lostWorker() {
  const q = queue('fragile'), e = await events('fragile');
  const job = await q.add('hang', {});
  const child = spawn(process.execPath, [__filename, String(port), 'hang'], { stdio: 'inherit' });
  await eventually(async () => (await job.getState()) === 'active', 'a job at the worker');
  const gone = new Promise((resolve) => child.on('exit', resolve));
  child.kill('SIGKILL');
  await gone;
  worker('fragile', async (j) => `by another, ${j.id}`, { stalledInterval: 300, lockDuration: 1000 });
  assert.strictEqual(await done(job, e), `by another, ${job.id}`);
}

async function hang() {
  new Worker('fragile', () => new Promise(() => {}), { connection, lockDuration: 1000, stalledInterval: 300 });
}

async function main() {
  if (process.argv[3] === 'hang') return hang();
  for (const test of [jobs, times, flows, limits, lostWorker]) {
    const began = Date.now();
    await test();
    await closeAll();
    console.log(`    ${test.name.padEnd(40)} ${((Date.now() - began) / 1000).toFixed(1).padStart(5)} s`);
  }
  return process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
