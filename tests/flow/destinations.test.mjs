// Destinations that are a Lua file and nothing else, against peers that read what comes as the makers' documents say: each record arrives
// once in the form of its destination, and a wrong key pauses the stream with words that say so.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { gunzipSync } from 'node:zlib';
import { Engine, until } from '../support/engine.mjs';
import { event, usage, many } from '../support/records.mjs';

// A server whose `answer` is given { path, headers, text } and returns { status, body }.
async function peer(t, answer) {
  const server = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const bytes = Buffer.concat(parts), gzip = request.headers['content-encoding'] === 'gzip';
    const said = answer({ path: request.url, headers: request.headers, text: (gzip ? gunzipSync(bytes) : bytes).toString() });
    response.writeHead(said.status, said.body ? { 'content-type': 'application/json' } : {});
    response.end(said.body ? JSON.stringify(said.body) : '');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => { server.closeAllConnections(); server.close(); });
  return `http://127.0.0.1:${server.address().port}`;
}

const lines = (text) => text.split('\n').filter(Boolean);
const ids = (records) => records.map((record) => record.id).sort((a, b) => a - b);

// Sends records of both kinds by this sink; `arrived` fills with what the peer has taken. Then a stream with a wrong secret.
async function deliver(t, sink, settings, wrong, arrived, accepts = ['usage', 'event']) {
  const engine = await Engine.start();
  t.after(() => engine.end());
  const sent = [...(accepts.includes('usage') ? many(20, () => usage()) : []), ...(accepts.includes('event') ? many(20, () => event()) : [])];
  const stream = await engine.stream({ sink, settings });
  await engine.send(sent);
  await until(() => arrived.length >= sent.length, `${sent.length} records (${arrived.length} came; ${JSON.stringify(arrived.at(-1))})`);
  assert.deepEqual(ids(arrived), ids(sent));
  await until(async () => (await engine.status(stream.id)).lag_records === 0, 'no lag');
  const refused = await engine.stream({ sink, settings: { ...settings, ...wrong } });
  await engine.send([usage()]);
  const status = await until(async () => {
    const now = await engine.status(refused.id);
    return now.state === 'paused' && now;
  }, 'the stream with the wrong key to pause');
  return status.last_error;
}

test('CloudEvents arrive in batches', async (t) => {
  const arrived = [];
  const url = await peer(t, ({ headers, text }) => {
    if (headers.authorization !== 'Bearer right') return { status: 401 };
    assert.match(headers['content-type'], /^application\/cloudevents-batch\+json/);
    for (const e of JSON.parse(text)) {
      assert.equal(e.specversion, '1.0');
      for (const name of ['id', 'source', 'type']) assert.ok(typeof e[name] === 'string' && e[name], name);
      assert.ok(!Number.isNaN(Date.parse(e.time)));
      assert.equal(e.id, `${e.data.volume ? 'usage' : 'event'}-${e.data.id}`);
      arrived.push(e.data);
    }
    return { status: 202 };
  });
  const said = await deliver(t, 'cloudevents', { url, auth: 'bearer', token: 'right' }, { token: 'wrong' }, arrived);
  assert.match(said, /401/);
});

test('Splunk takes events by its HTTP Event Collector', async (t) => {
  const arrived = [];
  const url = await peer(t, ({ path, headers, text }) => {
    assert.equal(path, '/services/collector/event');
    if (headers.authorization !== 'Splunk right') return { status: 403, body: { text: 'Invalid token', code: 4 } };
    for (const line of lines(text)) {
      const e = JSON.parse(line);
      assert.equal(e.index, 'iot');
      assert.ok(e.time > 1.5e9 && e.time < 2e9); // seconds
      arrived.push(e.event);
    }
    return { status: 200, body: { text: 'Success', code: 0 } };
  });
  const said = await deliver(t, 'splunk_hec', { url, token: 'right', index: 'iot' }, { token: 'wrong' }, arrived);
  assert.match(said, /the token is not known/);
});

// One point of line protocol: { measurement, tags, fields, time }.
function point(line) {
  const [head, set, time] = line.match(/(?:[^ "\\]|\\.|"(?:[^"\\]|\\.)*")+/g);
  const split = (text) => text.match(/(?:[^,"\\]|\\.|"(?:[^"\\]|\\.)*")+/g);
  const pairs = (list) => Object.fromEntries(list.map((pair) => pair.match(/^([^=]+)=(.*)$/).slice(1)));
  const [measurement, ...tags] = split(head);
  return { measurement, tags: pairs(tags), fields: pairs(split(set)), time: BigInt(time) };
}

test('InfluxDB gets a point a record', async (t) => {
  const arrived = [], seen = new Set(); // ids come back by their last six digits
  const url = await peer(t, ({ path, headers, text }) => {
    assert.equal(path, '/api/v2/write?precision=ns&bucket=iot%20raw');
    if (headers.authorization !== 'Token right') return { status: 401, body: { code: 'unauthorized', message: 'unauthorized access' } };
    for (const line of lines(text)) {
      const p = point(line), series = `${line.split(' ')[0]} ${p.time}`;
      assert.ok(!seen.has(series), 'a point takes the place of another');
      seen.add(series);
      assert.ok(p.fields.volume_total === '0.022331' || p.fields.description.startsWith('"Event '), line);
      arrived.push({ id: Number(p.time % 1000000n) });
    }
    return { status: 204 };
  });
  const engine = await Engine.start();
  t.after(() => engine.end());
  const sent = [...many(20, () => usage()), ...many(20, () => event())];
  await engine.stream({ sink: 'influxdb', settings: { url, bucket: 'iot raw', token: 'right' } });
  await engine.send(sent);
  await until(() => arrived.length === 40, '40 points');
  assert.deepEqual(ids(arrived), ids(sent.map(({ id }) => ({ id: id % 1000000 }))));
  const refused = await engine.stream({ sink: 'influxdb', settings: { url, bucket: 'iot raw', token: 'wrong' } });
  await engine.send([usage()]);
  await until(async () => (await engine.status(refused.id)).state === 'paused', 'the stream with the wrong token to pause');
});

test('Pub/Sub gets messages with an ordering key', async (t) => {
  const arrived = [];
  const url = await peer(t, ({ path, headers, text }) => {
    assert.equal(path, '/v1/projects/fleet/topics/sims:publish');
    if (headers.authorization !== 'Bearer right') return { status: 401, body: { error: { code: 401, status: 'UNAUTHENTICATED' } } };
    const { messages } = JSON.parse(text);
    for (const message of messages) {
      const record = JSON.parse(Buffer.from(message.data, 'base64').toString());
      assert.equal(message.orderingKey, String(record.endpoint.id));
      arrived.push(record);
    }
    return { status: 200, body: { messageIds: messages.map((_, i) => String(i)) } };
  });
  const settings = { project: 'fleet', topic: 'sims', access_token: 'right', endpoint: url };
  assert.match(await deliver(t, 'google_pubsub', settings, { access_token: 'wrong' }, arrived), /set a new one/);
});

test('an event hub believes the token it is shown', async (t) => {
  const arrived = [];
  const url = await peer(t, ({ path, headers, text }) => {
    assert.equal(path, '/sims/messages?api-version=2014-01');
    const [, sr, sig, se, skn] = headers.authorization.match(/^SharedAccessSignature sr=([^&]+)&sig=([^&]+)&se=(\d+)&skn=(.+)$/);
    assert.equal(decodeURIComponent(sr), 'https://fleet.servicebus.windows.net/sims');
    assert.equal(skn, 'send');
    assert.ok(Number(se) > Date.now() / 1000);
    const mine = createHmac('sha256', 'right').update(`${sr}\n${se}`).digest('base64');
    if (decodeURIComponent(sig) !== mine) return { status: 401, body: { message: 'Invalid authorization token signature' } };
    for (const { Body } of JSON.parse(text)) arrived.push(JSON.parse(Body));
    return { status: 201 };
  });
  const settings = { namespace: 'fleet', hub: 'sims', policy: 'send', key: 'right', endpoint: url };
  assert.match(await deliver(t, 'azure_event_hubs', settings, { key: 'wrong' }, arrived), /401/);
});

test('Slack is told of an alert', async (t) => {
  const said = [];
  const url = await peer(t, ({ path, text }) => {
    if (path !== '/services/T/B/right') return { status: 404, body: 'no_service' };
    said.push(JSON.parse(text).text);
    return { status: 200 };
  });
  const engine = await Engine.start();
  t.after(() => engine.end());
  await engine.stream({ type: 'alerts', sink: 'slack', settings: { url: `${url}/services/T/B/right` } });
  const sunk = await peer(t, () => ({ status: 200 }));
  await engine.stream({ sink: 'rest_bulk', settings: { url: sunk },
    script: 'return { api = 1, alert = function(rec) return { key = "k", title = "Roaming <here>", severity = "warn" } end }' });
  await engine.send([usage()]);
  await until(() => said.length === 1, 'a message');
  assert.match(said[0], /^:warning: \*Roaming &lt;here&gt;\*\norganisation .*endpoint 8392037/);
});
