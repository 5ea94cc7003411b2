// What the scripts beside this file share.

import { isDeepStrictEqual, inspect } from 'node:util';

export const [host, port, protocol] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];

/** Ends the program with code 1 when a result is not what one server would have answered. */
export function want(what, got, wanted) {
  if (!isDeepStrictEqual(got, wanted)) {
    console.error(`${what}: got ${inspect(got)}, want ${inspect(wanted)}`);
    process.exit(1);
  }
}

/** The error that a promise is rejected with, as text. */
export async function failure(promise) {
  try {
    return `no error, but ${inspect(await promise)}`;
  } catch (e) {
    return String(e.message);
  }
}

/** What an emitter says next. */
export function next(emitter, event) {
  return new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));
}

/** What a client library says beside its answers: nothing is expected. */
export function loud(client) {
  client.on('error', (e) => {
    console.error('the client says', e);
    process.exit(1);
  });
  return client;
}

export const range = (n) => [...Array(n).keys()];
export const text = (n) => range(n).map(String);
