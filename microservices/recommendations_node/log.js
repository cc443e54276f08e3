// One JSON object a line on standard error, as the Python services write it.

const LEVELS = ["debug", "info", "warning", "error"];

let service = "";
let lowest = LEVELS.indexOf("warning");

/** Set what every line says, and the least level that is written. */
export function configureLog(name, level) {
  service = name;
  lowest = LEVELS.indexOf(level);
}

function write(level, message, facts = {}) {
  if (LEVELS.indexOf(level) < lowest) return;
  const time = new Date().toISOString().replace("T", " ").replace(".", ",").replace("Z", "");
  process.stderr.write(`${JSON.stringify({ time, level, service, message, ...facts })}\n`);
}

export const log = Object.fromEntries(LEVELS.map((level) => [level, (message, facts) => write(level, message, facts)]));
