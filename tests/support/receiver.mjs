// receiver.mjs - a customer's endpoint on a free port of loopback, as well or as badly behaved as a test wants it.
import { createServer } from 'node:http';
import { once } from 'node:events';
import { gunzipSync } from 'node:zlib';
import { until } from './engine.mjs';

export class Receiver {
  // answer(request) -> status, or {status, headers, body}, or a promise of one; request = {records, body, headers, path, method}
  constructor(answer = () => 200) {
    this.answer = answer;
    this.records = [];  // of the requests answered 2xx, in order of arrival
    this.requests = []; // all of them
  }

  static async start(answer) {
    const receiver = new Receiver(answer);
    receiver.server = createServer((request, response) => receiver.take(request, response));
    receiver.server.listen(0, '127.0.0.1');
    await once(receiver.server, 'listening');
    receiver.url = `http://127.0.0.1:${receiver.server.address().port}/in`;
    return receiver;
  }

  async take(request, response) {
    const parts = [];
    try {
      for await (const part of request) parts.push(part);
    } catch {
      return; // the sender was killed in the middle of it
    }
    let body = Buffer.concat(parts);
    if (request.headers['content-encoding'] === 'gzip') body = gunzipSync(body);
    const text = body.toString();
    const records = request.headers['content-type']?.includes('ndjson') ? text.split('\n').filter(Boolean).map((l) => JSON.parse(l))
      : text ? [JSON.parse(text)].flat() : [];
    const seen = { records, body: text, headers: request.headers, path: request.url, method: request.method, at: Date.now() };
    this.requests.push(seen);
    const said = await this.answer(seen);
    const { status = 200, headers = {}, body: words = '' } = typeof said === 'object' ? said : { status: said };
    if (status >= 200 && status < 300) this.records.push(...records);
    response.writeHead(status, headers);
    response.end(words);
  }

  async arrived(count, ms) {
    await until(() => this.records.length >= count, `${count} records (${this.records.length} came)`, ms);
    return this.records;
  }

  end() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
