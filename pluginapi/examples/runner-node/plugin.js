#!/usr/bin/env node
// Runner-node is an example of a plugin in another language than Go. It offers the action type example.http_request, whose
// steps send an HTTP request and put out the response.
import { readFileSync } from 'node:fs';
import { failure, serveRunner } from './lib/host.js';
import { parse, request } from './lib/request.js';
import { services } from './lib/runner.js';

const schema = (name) => readFileSync(new URL(`schema/${name}.json`, import.meta.url));

const description = {
  kind: 'runner',
  name: 'example.http-node',
  version: '1.0.0',
  configSchema: schema('config'),
  actionTypes: [{ name: 'example.http_request', tag: 'http', specSchema: schema('spec') }],
};

let maxBytes = 64 << 20;

// configure takes the operator's settings. The host has checked them against the schema; this is for one that has not.
function configure({ max_response_bytes: max = maxBytes, ...unknown }) {
  if (Object.keys(unknown).length > 0) throw failure('INVALID_ARGUMENT', `unknown key '${Object.keys(unknown)[0]}'`);
  if (!Number.isInteger(max) || max < 1) throw failure('INVALID_ARGUMENT', "'max_response_bytes' has to be a positive integer");
  maxBytes = max;
}

serveRunner({
  ...services({ description, configure, parse, run: (spec, io) => request(spec, { maxBytes, ...io }) }),
  introduction: `This is the runner plugin "${description.name}" of Strøm. It executes actions of type example.http_request.`,
});
