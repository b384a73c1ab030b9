// The action type itself: sends an HTTP request and puts out the response. ../../runner-http is the same in Go.
import http from 'node:http';
import https from 'node:https';
import { failure } from './host.js';

const maxRedirects = 5;

// exitNoResponse is the exit code of a step that got no response, or only a part of one. With a response that was not
// expected it is the hundred of the status: 4 for 404.
const exitNoResponse = 6;

const milliseconds = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

const isText = (value) => typeof value === 'string';
const checks = {
  url: (value) => isText(value) && URL.canParse(value) && ['http:', 'https:'].includes(new URL(value).protocol),
  method: (value) => http.METHODS.includes(value),
  headers: (value) => value !== null && typeof value === 'object' && Object.values(value).every(isText),
  body: isText,
  expect_status: (value) => Array.isArray(value) && value.every(Number.isInteger),
  timeout: (value) => /^[1-9][0-9]{0,8}(ms|s|m|h)$/.test(value),
  output_status: (value) => typeof value === 'boolean',
};

// parse reads a spec, which schema/spec.json describes. It checks again what it relies on: only now are templates rendered.
// Errors name keys, not values: these may be secret.
export function parse(given) {
  const defaults = { url: '', method: 'GET', headers: {}, body: '', expect_status: [], timeout: '30s', output_status: true };
  const spec = { ...defaults, ...given };
  for (const [key, value] of Object.entries(spec)) {
    if (!Object.hasOwn(checks, key)) throw failure('INVALID_ARGUMENT', `unknown key '${key}'`);
    if (!checks[key](value)) throw failure('INVALID_ARGUMENT', `'${key}' is missing or not what the schema says`);
  }
  const [, count, unit] = /^([0-9]+)(.+)$/.exec(spec.timeout);
  const limit = Math.min(count * milliseconds[unit], 2 ** 31 - 1); // which is what timers can do
  const expects = (status) =>
    spec.expect_status.length > 0 ? spec.expect_status.includes(status) : status >= 200 && status <= 299;
  return { ...spec, url: new URL(spec.url), limit, expects };
}

// request executes a step: the body of the response goes to stdout, the rest to stderr. A step that fails is a result.
export async function request(spec, { maxBytes, stdout, stderr, signal }) {
  const timer = new AbortController();
  const timeout = setTimeout(() => timer.abort(), spec.limit);
  const stop = () => timer.abort();
  signal.addEventListener('abort', stop);
  let what = 'no response';
  try {
    const { response, url, next } = await follow(spec, timer.signal);
    what = 'the response broke off';
    await stderr(Buffer.from(summary(response, url, next)));
    let size = 0;
    let last;
    for await (const chunk of response) {
      size += chunk.length;
      last = chunk.at(-1);
      await stdout(chunk);
      if (size > maxBytes) return { exitCode: exitNoResponse, message: `the response has more than ${maxBytes} bytes` };
    }
    const status = response.statusCode;
    if (spec.output_status) await stdout(output(status, last));
    if (spec.expects(status)) return { exitCode: 0 };
    const message = `the response is ${status} ${response.statusMessage}, which was not expected`;
    return { exitCode: Math.floor(status / 100), message };
  } catch (err) {
    signal.throwIfAborted(); // a step that is stopped has no result of its own
    if (timer.signal.aborted) return { exitCode: exitNoResponse, message: `no complete response within ${spec.timeout}` };
    return { exitCode: exitNoResponse, message: `${what}: ${err.message || err.code}` };
  } finally {
    clearTimeout(timeout);
    signal.removeEventListener('abort', stop);
  }
}

// follow sends the request, follows redirects, and resolves to the last response, the url that it comes from, and where it
// leads next, if it does. A redirect to another origin is not followed, because that must not see the headers.
async function follow(spec, signal) {
  for (let url = spec.url, redirects = 0; ; redirects++) {
    const response = await send(spec, url, signal);
    const { statusCode: status, headers } = response;
    const moved = [301, 302, 303, 307, 308].includes(status) && URL.canParse(headers.location, url);
    const next = moved ? new URL(headers.location, url) : undefined;
    const allowed = !spec.expects(status) && ['GET', 'HEAD'].includes(spec.method) && next?.origin === url.origin;
    if (!allowed || redirects === maxRedirects) return { response, url, next };
    response.destroy(); // its body is of no interest
    url = next;
  }
}

// send sends one request and resolves to the response, of which the body is still to be read.
function send(spec, url, signal) {
  return new Promise((resolve, reject) => {
    const client = url.protocol === 'https:' ? https : http;
    const headers = { 'user-agent': 'runner-example.http-node/1.0', ...lowerCase(spec.headers) };
    const options = { method: spec.method, headers, signal, agent: false }; // no connection is used for two steps
    client.request(url, options, resolve).on('error', reject).end(spec.body);
  });
}

const lowerCase = (headers) => Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));

// summary says what was asked last, after redirects, and what came back. Of the headers it has those that hold no secrets.
function summary(response, url, next) {
  const lines = [`> ${response.req.method} ${plain(url)}`, `< ${response.statusCode} ${response.statusMessage}`];
  if (next) lines.push(`< Location: ${plain(next)}`);
  for (const name of ['Content-Type', 'Content-Length', 'Retry-After']) {
    const value = response.headers[name.toLowerCase()];
    if (value) lines.push(`< ${name}: ${value}`);
  }
  return `${lines.join('\n')}\n`;
}

// plain is a URL without user and query, which may hold secrets.
const plain = (url) => url.origin + url.pathname;

// output is the line that the host takes for the output of the step. The last such line counts, so the body of a response
// cannot forge it.
function output(status, last) {
  const newline = last === undefined || last === 0x0a ? '' : '\n';
  return Buffer.from(`${newline}OUTPUT: {"status": ${status}}\n`);
}
