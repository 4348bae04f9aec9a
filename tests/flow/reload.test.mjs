// Files of scripts and sinks that change while the engine runs: taken over soon and whole, or refused with the old one going on.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Engine, until } from '../support/engine.mjs';
import { Receiver } from '../support/receiver.mjs';
import { usage, many } from '../support/records.mjs';

const shipped = new URL('../../sinks', import.meta.url).pathname;

async function road(t, prepare = () => {}, answer) {
  const receiver = await Receiver.start(answer);
  const engine = new Engine();
  mkdirSync(join(engine.folder, 'sinks'));
  for (const file of readdirSync(shipped)) copyFileSync(join(shipped, file), join(engine.folder, 'sinks', file));
  engine.config.sinks = join(engine.folder, 'sinks');
  engine.config.scripts = join(engine.folder, 'scripts');
  prepare(engine);
  await engine.start();
  t.after(async () => { await engine.end(); receiver.end(); });
  return { engine, receiver };
}

const mapTo = (version) => `return { api = 1, map = function(rec) return { id = rec.id, version = ${version} } end }\n`;
const script = (engine, name, text) => writeFileSync(join(engine.folder, 'scripts', `${name}.lua`), text);
const lastError = async (engine, stream) => (await engine.status(stream.id)).last_error;
const saysError = (engine, stream, words) => until(async () => words.test(await lastError(engine, stream)), `an error like ${words}`);
const versionOf = async (engine, stream) => (await engine.status(stream.id)).script_version;
const otherVersion = (engine, stream, was) => until(async () => (await versionOf(engine, stream)) !== was, 'the new version');
const settled = (engine, stream) => until(async () => (await engine.status(stream.id)).lag_records === 0, 'no lag');

async function oneRecord(engine, receiver) { // as the receiver sees it
  const before = receiver.records.length;
  await engine.send([usage()]);
  await receiver.arrived(before + 1);
  return receiver.records.at(-1);
}

// A file that is replaced as editors do.
function replace(path, text) {
  writeFileSync(`${path}.tmp`, text);
  renameSync(`${path}.tmp`, path);
}

const RELOADS = Number(process.env.SLUICE_RELOADS ?? 60); // good, broken and slow ones

test('a changed script is taken over; a broken, a failing or a missing one leaves the old, and says why', async (t) => {
  const { engine, receiver } = await road(t);
  script(engine, 'shared', mapTo(1));
  const stream = await engine.stream({ sink: 'rest', settings: { url: receiver.url }, script_name: 'shared' });
  const first = await versionOf(engine, stream);
  assert.equal((await oneRecord(engine, receiver)).version, 1);

  script(engine, 'shared', mapTo(2));
  await otherVersion(engine, stream, first);
  assert.equal((await oneRecord(engine, receiver)).version, 2);
  const second = await versionOf(engine, stream);
  const metrics = (await engine.call('GET', '/metrics')).text;
  assert.ok(metrics.includes(`sluice_stream_script_version{stream="${stream.id}",version="${second}"} 1`));
  assert.match(engine.log, new RegExp(`stream=${stream.id} doing=take-over script="shared" version=${second} was=${first}`));

  script(engine, 'shared', 'return { api = 1,\n map = function(rec) return {{ end }');
  await saysError(engine, stream, new RegExp(`shared.lua:2: .*\\(version ${second} goes on\\)`));
  assert.equal((await oneRecord(engine, receiver)).version, 2);
  // A change of something else is none of the file's business.
  const patch = await engine.call('PATCH', `/api/v1/streams/${stream.id}`, { name: 'renamed', script_name: 'shared' });
  assert.equal(patch.status, 200, patch.text);
  assert.equal(await versionOf(engine, stream), second);

  script(engine, 'shared', mapTo(2));
  await until(async () => (await lastError(engine, stream)) === null, 'the error to go with its cause');

  writeFileSync(join(engine.folder, 'scripts/shared_spec.lua'), `
    describe("shared", function()
      it("says version 2", function()
        assert.equal(2, stream("shared.lua"):run(${luaRecord}).records[1].version)
      end)
    end)`);
  script(engine, 'shared', mapTo(3));
  await saysError(engine, stream, /shared_spec.lua:\d+: shared says version 2: /);
  assert.equal((await oneRecord(engine, receiver)).version, 2);
  unlinkSync(join(engine.folder, 'scripts/shared_spec.lua')); // without it the version is good
  script(engine, 'shared', `${mapTo(3)}-- once more\n`);
  await otherVersion(engine, stream, second);
  assert.equal((await oneRecord(engine, receiver)).version, 3);

  unlinkSync(join(engine.folder, 'scripts/shared.lua'));
  assert.equal((await engine.call('POST', `/api/v1/streams/${stream.id}/deactivate`)).status, 200);
  assert.equal((await engine.call('POST', `/api/v1/streams/${stream.id}/activate`)).status, 200);
  assert.equal((await oneRecord(engine, receiver)).version, 3);
});

const luaRecord = '{ id = 1, start_timestamp = "2026-01-01 00:00:00", organisation = { id = 7 }, volume = { total = 1 } }';

test('a stream starts again with the version that ran, whatever is in the file now', async (t) => {
  const { engine, receiver } = await road(t);
  script(engine, 'shared', mapTo(1));
  const stream = await engine.stream({ sink: 'rest', settings: { url: receiver.url }, script_name: 'shared' });
  const version = await versionOf(engine, stream);
  await engine.kill();
  script(engine, 'shared', 'broken');
  await engine.start();
  await saysError(engine, stream, /shared.lua:1: /);
  assert.equal(await versionOf(engine, stream), version);
  assert.equal((await oneRecord(engine, receiver)).version, 1);
  await engine.kill();
  unlinkSync(join(engine.folder, 'scripts/shared.lua'));
  await engine.start();
  assert.equal((await oneRecord(engine, receiver)).version, 1);
});

test(`${RELOADS} reloads under load: every record is handled once, by a whole version`, async (t) => {
  const { engine, receiver } = await road(t);
  const text = (n) => `local n = ${n}\nreturn { api = 1, filter = function(rec) return rec.id % 10 ~= 0, "tenth" end,
    map = function(rec) if rec.id % 10 == 1 then error("eleventh") end return { id = rec.id, a = n, b = ${n} } end }\n`;
  const path = join(engine.folder, 'scripts/load.lua');
  writeFileSync(path, text(0));
  const stream = await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url }, script_name: 'load' });
  const sent = [];
  let over = false;
  const load = (async () => {
    while (!over) {
      const records = many(50, (i) => usage({ endpoint: { id: 1 + (i % 20) } }));
      sent.push(...records);
      await engine.send(records);
      await new Promise((go) => setTimeout(go, 5));
    }
  })();
  let version = await versionOf(engine, stream);
  for (let n = 1; n <= RELOADS; n++) {
    if (n % 3 === 1) {
      replace(path, `${text(n)} broken`);
      await until(() => engine.log.split('script=load doing=reload version=').length > n, 'the refusal');
    } else if (n % 3 === 2) {
      replace(path, `for i = 1, 1e12 do end ${text(n)}`); // too slow
      await until(() => engine.log.split('script=load doing=reload version=').length > n, 'the refusal');
    } else {
      replace(path, text(n));
      await otherVersion(engine, stream, version);
      await until(() => engine.log.split('script=load doing=reload version=').length > n, 'the end of it');
    }
    version = await versionOf(engine, stream);
  }
  over = true;
  await load;
  await settled(engine, stream);
  const kept = sent.filter(({ id }) => id % 10 > 1).map(({ id }) => id);
  await until(async () => (await engine.status(stream.id)).delivered === kept.length, 'all to be counted');
  const status = await engine.status(stream.id);
  assert.equal(status.delivered + status.filtered + status.dead, sent.length);
  assert.equal(status.dead, sent.filter(({ id }) => id % 10 === 1).length);
  assert.ok(receiver.records.every(({ a, b }) => a === b));
  assert.deepEqual(new Set(receiver.records.map(({ id }) => id)), new Set(kept));
  assert.equal(receiver.records.length, kept.length); // nobody died, so nothing was sent twice
  assert.ok(new Set(receiver.records.map(({ a }) => a)).size > 10);
  console.log(JSON.stringify({ reloads: RELOADS, sent: sent.length, kept: kept.length, filtered: status.filtered, dead: status.dead, arrived: receiver.records.length }));
});

test('a batch in retry is made again by the new version, under its id', async (t) => {
  let up = false;
  const { engine, receiver } = await road(t, undefined, () => (up ? 200 : { status: 503, headers: { 'retry-after': '1' } }));
  script(engine, 'shared', mapTo(1));
  const stream = await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url }, script_name: 'shared' });
  const was = await versionOf(engine, stream);
  await engine.send(many(5, usage));
  await until(() => receiver.requests.length > 0, 'the first attempt');
  script(engine, 'shared', mapTo(2));
  await otherVersion(engine, stream, was);
  up = true;
  await receiver.arrived(5);
  assert.equal(receiver.requests.at(-1).headers['webhook-id'], receiver.requests[0].headers['webhook-id']);
  assert.ok(receiver.records.every(({ version }) => version === 2));
});

const sinkFile = (name, { settings = '', body = 'batch.records[1].body' } = {}) => `
  return { api = 1, name = "${name}", title = "Test", framing = "custom", settings = { { "url", type = "url", required = true }${settings} },
    batch = { records = 1 },
    request = function(batch, settings) return { url = settings.url, body = ${body} } end }`;

test('a sink is dropped into the folder, used, changed, refused, and taken away', async (t) => {
  const { engine, receiver } = await road(t);
  const path = join(engine.folder, 'sinks/own.lua');
  const names = async () => (await engine.call('GET', '/api/v1/sinks')).json.items.map(({ name }) => name);
  assert.ok(!(await names()).includes('own'));
  replace(path, sinkFile('own'));
  await until(async () => (await names()).includes('own'), 'the sink', 1000);
  const stream = await engine.stream({ sink: 'own', settings: { url: receiver.url } });
  assert.equal(typeof (await oneRecord(engine, receiver)).id, 'number');

  replace(path, sinkFile('own', { body: `'{"changed":true}'` }));
  await until(() => /doing=take-over sink=own/.test(engine.log), 'the takeover');
  assert.deepEqual(await oneRecord(engine, receiver), { changed: true });

  replace(path, sinkFile('own', { settings: ', { "room", type = "string", required = true }' }));
  await saysError(engine, stream, /room.*goes on/);
  assert.deepEqual(await oneRecord(engine, receiver), { changed: true });
  replace(path, 'return { api = 1, name = "own" ');
  await saysError(engine, stream, /own.lua:1: .*goes on/);
  assert.deepEqual(await oneRecord(engine, receiver), { changed: true });
  replace(path, sinkFile('own', { body: `'{"mended":true}'` }));
  await until(async () => (await oneRecord(engine, receiver)).mended, 'the mended sink');
  assert.equal(await lastError(engine, stream), null);

  unlinkSync(path);
  await until(async () => !(await names()).includes('own'), 'the sink to go');
  assert.deepEqual(await oneRecord(engine, receiver), { mended: true });
  const refused = await engine.call('POST', '/api/v1/streams', { name: 'n', type: 'events', sink: 'own', settings: { url: receiver.url } });
  assert.equal(refused.status, 422);
  const renamed = await engine.call('PATCH', `/api/v1/streams/${stream.id}`, { name: 'still there' });
  assert.equal(renamed.status, 200, renamed.text);
});

test('folders that are links are followed when they turn', async (t) => {
  const { engine, receiver } = await road(t, (made) => {
    rmSync(join(made.folder, 'scripts'), { recursive: true });
    for (const n of [1, 2]) {
      mkdirSync(join(made.folder, `v${n}`));
      writeFileSync(join(made.folder, `v${n}/shared.lua`), mapTo(n));
    }
    symlinkSync('v1', join(made.folder, 'scripts'));
  });
  const stream = await engine.stream({ sink: 'rest', settings: { url: receiver.url }, script_name: 'shared' });
  const was = await versionOf(engine, stream);
  assert.equal((await oneRecord(engine, receiver)).version, 1);
  symlinkSync('v2', join(engine.folder, 'next'));
  renameSync(join(engine.folder, 'next'), join(engine.folder, 'scripts'));
  await otherVersion(engine, stream, was);
  assert.equal((await oneRecord(engine, receiver)).version, 2);
});

test('SIGHUP looks at everything again, at what was refused, too', async (t) => {
  const { engine, receiver } = await road(t);
  script(engine, 'shared', mapTo(1));
  const stream = await engine.stream({ sink: 'rest', settings: { url: receiver.url }, script_name: 'shared' });
  script(engine, 'shared', 'broken');
  await saysError(engine, stream, /shared.lua/);
  const refusals = () => engine.log.split('script=shared doing=reload').length - 1;
  assert.equal(refusals(), 1);
  engine.child.kill('SIGHUP');
  await until(() => refusals() === 2, 'the second look');
  assert.equal((await oneRecord(engine, receiver)).version, 1);
});

test('a version that fails for a hundred records gives way to the one before it, over a restart, too', async (t) => {
  const { engine, receiver } = await road(t);
  const failing = 'return { api = 1, map = function(rec) return rec.cost > 1 and rec.no.such.field or { id = rec.id } end }';
  const dear = () => usage({ cost: 2 }); // what came before does not tell that it fails
  for (const shared of [true, false]) {
    const give = (text) => (shared ? script(engine, 'shared', text) : undefined);
    give(mapTo(1));
    const stream = await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url }, ...(shared ? { script_name: 'shared' } : { script: mapTo(1) }) });
    const good = await versionOf(engine, stream);
    assert.equal((await oneRecord(engine, receiver)).version, 1);
    give(failing);
    if (!shared) assert.equal((await engine.call('PATCH', `/api/v1/streams/${stream.id}`, { script: failing })).status, 200);
    await otherVersion(engine, stream, good);
    const bad = await versionOf(engine, stream);
    await engine.send(many(60, dear));
    await until(async () => (await engine.status(stream.id)).dead === 60, 'the dead letters');
    await engine.stop(); // and not as a crash: these would be run again
    await engine.start();
    const sent = many(150, dear);
    const before = receiver.records.length;
    await engine.send(sent);
    await until(async () => (await versionOf(engine, stream)) === good, 'the version before');
    assert.match(engine.log, new RegExp(`stream=${stream.id} doing=roll-back version=${good} was=${bad}`));
    await settled(engine, stream);
    assert.match(await lastError(engine, stream), new RegExp(`script version ${bad} failed.*version ${good} runs again`));
    await until(async () => (await engine.status(stream.id)).state === 'live', 'the stream to deliver');
    const again = receiver.records.slice(before); // those that failed in a row are delivered after all, before what came behind them
    assert.deepEqual(again, sent.map(({ id }) => ({ id, version: 1 })));
    const status = await engine.status(stream.id);
    assert.equal(status.delivered, 1 + 150);
    assert.equal(status.dead, 60); // what failed before the restart was not in that row
    assert.equal((await engine.deadLetters(stream.id)).length, 60);
    if (!shared) assert.equal((await engine.call('GET', `/api/v1/streams/${stream.id}`)).json.script, mapTo(1));
    await engine.kill(); // what was gone back from stays away
    await engine.start();
    assert.equal(await versionOf(engine, stream), good);
    assert.match(await lastError(engine, stream), /runs again/);
    await engine.call('DELETE', `/api/v1/streams/${stream.id}`);
  }
});

test('a version is tried on the last records before it takes over', async (t) => {
  const { engine, receiver } = await road(t);
  script(engine, 'shared', mapTo(1));
  const shared = await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url }, script_name: 'shared' });
  const own = await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url }, script: mapTo(1) });
  const sent = many(20, usage);
  await engine.send(sent);
  await receiver.arrived(40);
  const failing = 'return { api = 1,\n map = function(rec) return rec.no.such.field end }';
  const patch = await engine.call('PATCH', `/api/v1/streams/${own.id}`, { script: failing });
  assert.equal(patch.status, 422);
  assert.match(patch.text, new RegExp(`tried on the last 20 records, it fails for each; record ${sent[0].id}: line 2: `));
  script(engine, 'shared', failing);
  await saysError(engine, shared, new RegExp(`tried on the last 20 records, it fails for each; record ${sent[0].id}: line 2: .*goes on`));
  assert.equal(await versionOf(engine, own), await versionOf(engine, shared));
  // What fails for some of them only is for its owner to judge.
  const some = `return { api = 1, map = function(rec) if rec.id == ${sent[3].id} then error("no") end return { id = rec.id, version = 2 } end }`;
  assert.equal((await engine.call('PATCH', `/api/v1/streams/${own.id}`, { script: some })).status, 200);
});

test('without a version that worked the stream is paused', async (t) => {
  const { engine, receiver } = await road(t);
  const stream = await engine.stream({ sink: 'rest', settings: { url: receiver.url }, script: 'return { api = 1, map = function(rec) return rec.no.such.field end }' });
  await engine.send(many(100, usage));
  await until(async () => (await engine.status(stream.id)).state === 'paused', 'the pause');
  assert.match(await lastError(engine, stream), /100 records in a row/);
});
