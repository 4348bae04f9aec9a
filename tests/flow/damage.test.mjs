// A block of the journal that can't be read: a stream that still wanted it says so, and goes on behind it.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Engine, until } from '../support/engine.mjs';
import { Receiver } from '../support/receiver.mjs';
import { usage, many } from '../support/records.mjs';

// The second of three blocks of ten is damaged while the engine is down.
async function lose(t, { routed }) {
  const engine = await Engine.start(), receiver = await Receiver.start();
  t.after(async () => { await engine.end(); receiver.end(); });
  const common = { sink: 'rest_bulk', settings: { url: receiver.url } };
  const all = await engine.stream(common), one = await engine.stream({ ...common, organisation_id: 7 });
  receiver.answer = () => 500;
  if (!routed) for (const { id } of [all, one]) await engine.call('POST', `/api/v1/streams/${id}/deactivate`);
  for (let i = 0; i < 3; i++) await engine.send(many(10, () => usage({ organisation: { id: 7 } })));
  await engine.stop();
  const folder = join(engine.folder, 'data/journal');
  const path = join(folder, readdirSync(folder, { recursive: true }).find((name) => name.endsWith('.seg') && name !== 'next.seg'));
  const bytes = readFileSync(path), magic = bytes.subarray(0, 4);
  bytes[bytes.indexOf(magic, 64) + 150] ^= 1;
  writeFileSync(path, bytes);
  receiver.answer = () => 200;
  await engine.start();
  if (!routed) for (const { id } of [all, one]) await engine.call('POST', `/api/v1/streams/${id}/activate`);
  for (const [stream, expired] of [[all, 10], [one, 0]]) {
    const status = await until(async () => { const now = await engine.status(stream.id); return now.delivered === 20 && now; }, 'twenty records');
    assert.equal(status.expired, expired);
    assert.match(status.last_error, /damaged block of the journal: up to 10 records are lost/);
    if (!routed) assert.match(engine.log, new RegExp(`stream=${stream.id} doing=read`));
  }
  if (routed) assert.match(engine.log, /doing=route error="damaged block" records=10/);
}

test('a stream that reads on its own tells of the records that a damaged block has lost', (t) => lose(t, { routed: false }));
test('streams that are read for tell of them, too', (t) => lose(t, { routed: true }));
