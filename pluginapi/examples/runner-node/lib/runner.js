// The services of a runner plugin, whatever its action type: what Strøm's protocol asks for around a step. The comments in
// proto/stroem/plugin/v1 are the specification.
import { once } from 'node:events';
import { failure } from './host.js';
import { log } from './log.js';

const maxChunk = 64 << 10;

// services returns the implementations of PluginService and RunnerService.
//   description  what Describe answers
//   configure    takes the operator's settings
//   parse        checks the spec of a step and returns what run needs of it
//   run          run(parsed, { stdout, stderr, signal }) executes the step, and resolves to { exitCode, message } when nothing
//                of it is left. stdout and stderr take a Buffer and have to be awaited: a slow host slows the step down. It
//                ends at once when signal is aborted.
// configure and parse throw a failure with INVALID_ARGUMENT at what is wrong.
export function services({ description, configure, parse, run }) {
  let configured = false;
  const runs = new Map(); // under way, by id: { control, ended }

  const plugin = {
    describe: (_call, reply) => reply(null, description),
    configure: (call, reply) => {
      if (configured) return reply(failure('FAILED_PRECONDITION', 'configured already'));
      try {
        configure(object(call.request.settings.length ? call.request.settings : '{}'));
      } catch (err) {
        return reply(status(err));
      }
      configured = true;
      return reply(null, {});
    },
    checkHealth: (_call, reply) =>
      configured ? reply(null, { state: 'HEALTH_STATE_HEALTHY' }) : reply(failure('FAILED_PRECONDITION', 'not configured yet')),
    // Validate is left out: the schema says it all, and a call that a server does not have is answered with UNIMPLEMENTED.
  };

  async function execute(call, signal) {
    const parsed = parse(object(call.request.spec));
    const events = stream(call, signal);
    await events.send({ started: {} }); // without state: when this process dies, so do its connections
    const result = await run(parsed, events);
    await events.send({ finished: result });
    log.debug('run ended', { run: call.request.runId, exit_code: result.exitCode });
  }

  const runner = {
    run: (call) => {
      const id = call.request.runId;
      if (!configured) return call.emit('error', failure('FAILED_PRECONDITION', 'not configured yet'));
      if (runs.has(id)) return call.emit('error', failure('ALREADY_EXISTS', `run "${id}" is under way already`));
      const control = new AbortController();
      call.on('cancelled', () => control.abort(failure('CANCELLED', 'host is gone')));
      const ended = execute(call, control.signal)
        .finally(() => runs.delete(id))
        .then(
          () => call.end(),
          (err) => call.emit('error', control.signal.aborted ? control.signal.reason : status(err)),
        );
      runs.set(id, { control, ended });
      return undefined;
    },
    stop: (call, reply) => {
      const found = runs.get(call.request.runId);
      if (!found) return reply(failure('NOT_FOUND', 'no such run is under way'));
      const timedOut = call.request.reason === 'STOP_REASON_TIMED_OUT';
      found.control.abort(timedOut ? failure('DEADLINE_EXCEEDED', 'timed out') : failure('CANCELLED', 'stopped'));
      return reply(null, {});
    },
    remove: async (call, reply) => {
      if (!configured) return reply(failure('FAILED_PRECONDITION', 'not configured yet'));
      const found = runs.get(call.request.runId); // any other ended with the process that it was in
      found?.control.abort(failure('CANCELLED', 'removed'));
      await found?.ended;
      return reply(null, {});
    },
    // Attach is left out: the action type does not say that it is attachable.
  };
  return { plugin, runner };
}

// stream sends the events of a run. Its functions resolve when the host is ready for more, and reject once signal is aborted.
function stream(call, signal) {
  const send = async (event) => {
    signal.throwIfAborted();
    if (!call.write(event)) await once(call, 'drain', { signal });
  };
  const output = (name) => async (data) => {
    const now = Date.now();
    const time = { seconds: Math.floor(now / 1000), nanos: (now % 1000) * 1e6 };
    for (let at = 0; at < data.length; at += maxChunk) {
      await send({ output: { stream: name, data: data.subarray(at, at + maxChunk), time } });
    }
  };
  return { send, signal, stdout: output('STREAM_STDOUT'), stderr: output('STREAM_STDERR') };
}

// status is an error as the host is told of it: a failure as it is, and anything else, such as a TypeError, as internal.
function status(err) {
  return Number.isInteger(err.code) ? err : failure('INTERNAL', err.message);
}

// object reads a JSON object. The error does not repeat the text, which may hold secrets.
function object(bytes) {
  try {
    const value = JSON.parse(bytes.toString());
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value;
  } catch {
    // told below
  }
  throw failure('INVALID_ARGUMENT', 'not a JSON object');
}
