import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { selfSigned } from '../lib/certificate.js';

test('the certificate is one', () => {
  const { cert, key, der } = selfSigned();
  const parsed = new X509Certificate(cert);
  assert.deepEqual(parsed.raw, der);
  assert.equal(parsed.checkHost('localhost'), 'localhost');
  assert.ok(parsed.verify(parsed.publicKey));
  assert.ok(parsed.checkPrivateKey(createPrivateKey(key)));
  assert.notEqual(parsed.serialNumber, new X509Certificate(selfSigned().cert).serialNumber);
});

const plugin = fileURLToPath(new URL('../plugin.js', import.meta.url));
const start = (env) => spawnSync(plugin, { env: { PATH: process.env.PATH, ...env }, encoding: 'utf8', timeout: 10_000 });

test('started by hand, it says what it is', () => {
  const { status, stdout, stderr } = start({});
  assert.equal(status, 2);
  assert.match(stderr, /This is the runner plugin "example.http-node" of Strøm.*\n.*stroem-worker starts it/);
  assert.equal(stdout, '');
});

test('without the certificate of a host it does not start', () => {
  const { status, stdout, stderr } = start({ STROEM_PLUGIN: 'workflow' });
  assert.equal(status, 1);
  assert.equal(JSON.parse(stderr)['@level'], 'error');
  assert.equal(stdout, '');
});
