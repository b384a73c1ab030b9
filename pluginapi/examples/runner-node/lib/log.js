// The log of a plugin is its standard error: one JSON object a line, with keys as of hclog. What steps print does not belong
// here, and neither do secrets.
const levels = ['debug', 'info', 'warn', 'error'];
const wanted = levels.indexOf(process.env.STROEM_PLUGIN_LOG_LEVEL?.toLowerCase());
const lowest = wanted < 0 ? levels.indexOf('info') : wanted;

function write(level, message, fields) {
  if (levels.indexOf(level) < lowest) return;
  const record = { '@level': level, '@message': message, '@timestamp': new Date().toISOString(), ...fields };
  process.stderr.write(`${JSON.stringify(record)}\n`);
}

export const log = Object.fromEntries(levels.map((level) => [level, (message, fields) => write(level, message, fields)]));
