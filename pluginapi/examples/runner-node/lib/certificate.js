// A certificate for mutual TLS. Node has keys and signatures but makes no certificates, so this writes the little DER that
// a self-signed one consists of; RFC 5280 says what it has to hold.
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';

// der is a value with its tag and its length, which has one byte, or more behind a byte that says how many.
function der(tag, ...parts) {
  const body = Buffer.concat(parts);
  const length = [body.length & 0xff];
  for (let rest = body.length >> 8; rest > 0; rest >>= 8) length.unshift(rest & 0xff);
  if (body.length >= 0x80) length.unshift(0x80 | length.length);
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

const sequence = (...parts) => der(0x30, ...parts);
const text = (tag, value) => der(tag, Buffer.from(value, 'ascii'));
const oid = (hex) => der(0x06, Buffer.from(hex, 'hex'));

const ecdsaWithSHA256 = sequence(oid('2a8648ce3d040302'));
const commonName = oid('550403');
const subjectAltName = oid('551d11');

// selfSigned returns a new certificate for the DNS name localhost, which is what the host expects whatever the address is:
// cert and key as PEM, and cert as DER.
export function selfSigned() {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = sequence(der(0x31, sequence(commonName, text(0x0c, 'localhost'))));
  const serial = randomBytes(16);
  serial[0] = (serial[0] & 0x7f) | 0x40; // positive, and without leading zeros
  const content = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))), // version 3
    der(0x02, serial),
    ecdsaWithSHA256,
    name, // issuer
    sequence(text(0x17, '700101000000Z'), text(0x18, '99991231235959Z')), // it ends with the process, not by date
    name, // subject
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(sequence(subjectAltName, der(0x04, sequence(text(0x82, 'localhost')))))),
  );
  const signature = der(0x03, Buffer.from([0]), sign('sha256', content, privateKey));
  const certificate = sequence(content, ecdsaWithSHA256, signature);
  const lines = certificate.toString('base64').match(/.{1,64}/g).join('\n');
  return {
    der: certificate,
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  };
}
