// Where streams go on after a restart, also when what they had read is no longer there.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Engine } from '../support/engine.mjs';
import { Receiver } from '../support/receiver.mjs';
import { usage, many } from '../support/records.mjs';

test('a journal that was taken away costs what was in it, not what comes after', async (t) => {
  const receiver = await Receiver.start();
  const engine = await Engine.start();
  t.after(async () => { await engine.end(); receiver.end(); });
  const stream = await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url } });
  await engine.send(many(500, usage));
  await receiver.arrived(500);
  await engine.stop();
  rmSync(join(engine.config.data, 'journal'), { recursive: true });
  await engine.start();
  const sent = many(20, usage); // their numbers are far below the position that was saved
  await engine.send(sent);
  const got = await receiver.arrived(520);
  assert.deepEqual(got.slice(500).map((r) => r.id), sent.map((r) => r.id));
  assert.match(engine.log, new RegExp(`stream=${stream.id} doing=start error="its position`));
});
