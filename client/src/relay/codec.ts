/** What a message is made of: bytes, or values that a codec turns into bytes and back. Pure. */

/** Turns values into bytes and back. `decode` throws if the bytes are none of its values. */
export interface Codec<Sent, Received = Sent> {
  encode(value: Sent): Uint8Array;
  decode(bytes: Uint8Array): Received;
}

/** Bytes go as they are. */
export const BYTES: Codec<BufferSource, Uint8Array> = {
  encode(data) {
    if (data instanceof ArrayBuffer) return new Uint8Array(data);
    if (ArrayBuffer.isView(data)) {
      return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    }
    throw new TypeError(
      'Only bytes can be sent: an ArrayBuffer or a view of one. For other values both ends set codec: "json".',
    );
  },
  decode: (bytes) => bytes,
};

/** Values of JSON, in UTF-8. */
export const JSON_CODEC: Codec<unknown> = {
  encode(value) {
    const text = JSON.stringify(value);
    if (text === undefined) throw new TypeError(`JSON has no ${typeof value}.`);
    return new TextEncoder().encode(text);
  },
  decode: (bytes) =>
    JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)),
};

/**
 * The codec that the option `codec` asks for.
 * @throws TypeError if it is unknown
 */
export function codecOf(codec: "json" | Codec<unknown> | undefined): Codec<unknown> {
  if (codec === undefined) return BYTES as Codec<unknown>;
  if (codec === "json") return JSON_CODEC;
  if (typeof codec?.encode === "function" && typeof codec.decode === "function") return codec;
  throw new TypeError('codec is "json", or an object with encode and decode.');
}
