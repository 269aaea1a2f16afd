/** Ids of applications. The route that makes an application draws one. */

const ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz";
const LENGTH = 14;

/** A new id: `pa-` and 14 characters, which is 72 random bits. Alibaba's ids have this form. */
export function newApplicationId(): string {
  let id = "";
  while (id.length < LENGTH) {
    for (const byte of crypto.getRandomValues(new Uint8Array(LENGTH))) {
      // 252 is the largest multiple of 36 below 256. Bytes above it would favour some characters.
      if (byte < 252 && id.length < LENGTH) id += ALPHABET.charAt(byte % 36);
    }
  }
  return `pa-${id}`;
}
