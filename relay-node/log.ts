/** The log of a relay node: a JSON object in each line. No token is ever in it. */

type Level = "info" | "warn" | "error";

export type Log = Record<Level, (message: string, details?: Record<string, unknown>) => void>;

/** A log that hands each line to `write`. */
export function createLog(write: (line: string) => void): Log {
  const at = (level: Level) => (message: string, details?: Record<string, unknown>) =>
    write(JSON.stringify({ time: new Date().toISOString(), level, message, ...details }));
  return { info: at("info"), warn: at("warn"), error: at("error") };
}
