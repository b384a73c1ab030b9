// What every plugin needs to be started by a host, whatever its kind: the handshake of go-plugin with mutual TLS, the services
// that the host calls besides Strøm's, and an end when the host has gone.
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { selfSigned } from './certificate.js';
import { log } from './log.js';

const files = ['stroem/plugin/v1/plugin.proto', 'stroem/plugin/v1/runner.proto', 'grpc/health.proto', 'grpc/controller.proto'];
const protos = loadSync(files, {
  includeDirs: [fileURLToPath(new URL('../proto', import.meta.url))],
  enums: String,
  longs: Number,
  defaults: true,
  oneofs: true,
});
const packages = grpc.loadPackageDefinition(protos);
const { PluginService, RunnerService } = packages.stroem.plugin.v1;
const maxMessage = 16 << 20;

// failure is an error with a gRPC status, which the host understands.
export function failure(code, message) {
  return Object.assign(new Error(message), { code: grpc.status[code], details: message });
}

// serveRunner serves the two services of a runner until the host ends this process or goes away. introduction tells a person
// who starts the plugin by hand what it is.
export function serveRunner({ plugin, runner, introduction }) {
  const parent = process.ppid;
  if (process.env.STROEM_PLUGIN !== 'workflow') {
    process.stderr.write(`${introduction}\nIt does nothing by itself: stroem-worker starts it.\n`);
    process.exit(2);
  }
  if (!process.env.PLUGIN_CLIENT_CERT) {
    log.error('the host sent no certificate in PLUGIN_CLIENT_CERT: this plugin talks over mutual TLS only');
    process.exit(1);
  }
  // These reach a plugin because its terminal or its service is being stopped. The host decides what becomes of the steps.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});
  // Nobody tells a plugin that its host was killed, but it gets another parent. All connections of steps end with the process.
  setInterval(() => process.ppid === parent || process.exit(1), 250).unref();

  const server = new grpc.Server({
    'grpc.max_receive_message_length': maxMessage,
    'grpc.max_send_message_length': maxMessage,
  });
  server.addService(PluginService.service, plugin);
  server.addService(RunnerService.service, runner);
  server.addService(packages.grpc.health.v1.Health.service, {
    check: (call, reply) =>
      call.request.service === 'plugin' ? reply(null, { status: 'SERVING' }) : reply(failure('NOT_FOUND', 'unknown service')),
  });
  server.addService(packages.plugin.GRPCController.service, {
    shutdown: (_call, reply) => {
      reply(null, {});
      setImmediate(() => process.exit(0)); // when the answer is on its way
    },
  });
  listen(server);
}

// listen opens the socket and tells the host, on the one line that a plugin writes to its standard output, how to reach it:
// version of go-plugin's protocol | of Strøm's | network | address | grpc | our certificate, DER in base64 without padding.
function listen(server) {
  const own = selfSigned();
  const credentials = grpc.ServerCredentials.createSsl(
    Buffer.from(process.env.PLUGIN_CLIENT_CERT),
    [{ private_key: Buffer.from(own.key), cert_chain: Buffer.from(own.cert) }],
    true, // only the host has the key to the certificate that it sent
  );
  const directory = process.env.PLUGIN_UNIX_SOCKET_DIR || tmpdir();
  const socket = join(directory, `plugin${randomBytes(6).toString('hex')}`);
  process.on('exit', () => rmSync(socket, { force: true }));
  server.bindAsync(`unix:${socket}`, credentials, (err) => {
    if (err) {
      log.error('the socket cannot be opened', { socket, error: err.message });
      process.exit(1);
    }
    const certificate = own.der.toString('base64').replace(/=+$/, '');
    process.stdout.write(`1|1|unix|${socket}|grpc|${certificate}\n`);
  });
}
