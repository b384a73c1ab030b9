import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { parse, request } from '../lib/request.js';

const secret = 'geheim-7f3a';

// The server that the steps talk to, and one of another origin.
const routes = {
  '/ok': (req, res) => res.end(`${req.method} ok`),
  '/fail': (_req, res) => res.writeHead(404).end('no\n'),
  '/long': () => {},
  '/large': (_req, res) => res.end('x'.repeat(100_000)),
  '/forged': (_req, res) => res.end('OUTPUT: {"status": 1}\n'),
  '/broken': (_req, res) => res.writeHead(200, { 'content-length': 100 }).write('half', () => res.destroy()),
  '/endless': (_req, res) => res.writeHead(302, { location: '/endless' }).end(),
  '/redirect': (_req, res, url) => res.writeHead(302, { location: url.searchParams.get('to') }).end('moved'),
  '/key': (req, res) => res.writeHead(req.headers['x-api-key'] === secret ? 200 : 401, { 'set-cookie': 'set-by-the-server' }).end(),
};
let server, elsewhere;
before(async () => {
  server = await listen();
  elsewhere = await listen();
});
after(() => [server, elsewhere].forEach((one) => one.close() && one.closeAllConnections()));

async function listen() {
  const one = http.createServer((req, res) => {
    const url = new URL(req.url, 'http://server');
    routes[url.pathname](req, res, url);
  });
  await once(one.listen(0, '127.0.0.1'), 'listening');
  one.url = `http://127.0.0.1:${one.address().port}`;
  return one;
}

// run executes a step and returns its result with what it put out.
async function run(spec, { maxBytes = 1e6, signal = new AbortController().signal } = {}) {
  const written = { stdout: '', stderr: '' };
  const writer = (name) => async (data) => { written[name] += data; };
  const result = await request(parse(spec), { maxBytes, signal, stdout: writer('stdout'), stderr: writer('stderr') });
  return { message: '', ...result, ...written };
}

const redirect = (to) => `${server.url}/redirect?to=${encodeURIComponent(to)}`;
const output = (status) => `OUTPUT: {"status": ${status}}\n`;

// name: [spec, exit code, message, stdout, part of stderr]
const results = {
  success: () => [{ url: `${server.url}/ok` }, 0, /^$/, `GET ok\n${output(200)}`, '< 200 OK\n'],
  method: () => [{ url: `${server.url}/ok`, method: 'PUT', body: 'x' }, 0, /^$/, `PUT ok\n${output(200)}`, `> PUT ${server.url}/ok\n`],
  'body alone': () => [{ url: `${server.url}/ok`, output_status: false }, 0, /^$/, 'GET ok', ''],
  'no body': () => [{ url: `${server.url}/ok`, method: 'HEAD' }, 0, /^$/, output(200), ''],
  'forged output': () => [{ url: `${server.url}/forged` }, 0, /^$/, `OUTPUT: {"status": 1}\n${output(200)}`, ''],
  'not found': () => [{ url: `${server.url}/fail` }, 4, /404 Not Found/, `no\n${output(404)}`, '< 404 Not Found\n'],
  expected: () => [{ url: `${server.url}/fail`, expect_status: [404], output_status: false }, 0, /^$/, 'no\n', ''],
  '200 not expected': () => [{ url: `${server.url}/ok`, expect_status: [201], output_status: false }, 2, /200 OK/, 'GET ok', ''],
  'broken response': () => [{ url: `${server.url}/broken` }, 6, /^the response broke off/, 'half', ''],
  timeout: () => [{ url: `${server.url}/long`, timeout: '50ms' }, 6, /^no complete response within 50ms$/, '', ''],
  'nobody listens': () => [{ url: `http://127.0.0.1:1/?token=${secret}` }, 6, /ECONNREFUSED/, '', ''],
  redirect: () => [{ url: redirect('/ok'), output_status: false }, 0, /^$/, 'GET ok', `> GET ${server.url}/ok\n`],
  'expected redirect': () =>
    [{ url: redirect('/ok'), expect_status: [302], output_status: false }, 0, /^$/, 'moved', `< Location: ${server.url}/ok\n`],
  'redirect of POST': () => [{ url: redirect('/ok'), method: 'POST', output_status: false }, 3, /302 Found/, 'moved', ''],
  'other origin': () =>
    [{ url: redirect(`${elsewhere.url}/ok?${secret}`), output_status: false }, 3, /302/, 'moved', `< Location: ${elsewhere.url}/ok\n`],
  'endless redirects': () => [{ url: `${server.url}/endless` }, 3, /302 Found/, output(302), ''],
};
for (const [name, make] of Object.entries(results)) {
  test(name, async () => {
    const [spec, exitCode, message, stdout, stderr] = make();
    const got = await run(spec);
    assert.equal(got.exitCode, exitCode, got.message);
    assert.match(got.message, message);
    assert.equal(got.stdout, stdout);
    assert.ok(got.stderr.includes(stderr), got.stderr);
    assert.ok(!(got.message + got.stderr).includes(secret), got.message + got.stderr);
  });
}

test('the response is bounded', async () => {
  const got = await run({ url: `${server.url}/large` }, { maxBytes: 1000 });
  assert.deepEqual([got.exitCode, got.message], [6, 'the response has more than 1000 bytes']);
});

test('secrets stay in the request', async () => {
  const got = await run({ url: `${server.url}/key?token=${secret}`, headers: { 'X-Api-Key': secret }, body: secret });
  assert.equal(got.exitCode, 0, got.message);
  assert.ok(!(got.stdout + got.stderr).includes(secret));
  assert.ok(!(got.stdout + got.stderr).includes('set-by-the-server'));
});

test('a stop ends the request', async () => {
  const control = new AbortController();
  const reason = new Error('stopped');
  const ended = run({ url: `${server.url}/long`, timeout: '1h' }, { signal: control.signal });
  control.abort(reason);
  await assert.rejects(ended, reason);
});

test('bad specs', () => {
  const url = 'http://host/';
  for (const spec of [
    {}, { url: 7 }, { url: 'ftp://host/' }, { url: 'http://' }, { url, timeout: 'soon' }, { url, headers: secret },
    { url, method: 'G E T' }, { url, expect_status: 200 }, { url, colour: 'red' },
  ]) {
    assert.throws(() => parse(spec), (err) => err.code === 3 && !err.message.includes(secret), JSON.stringify(spec));
  }
});
