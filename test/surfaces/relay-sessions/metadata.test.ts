/** Metadata is a small object of texts that people write: normalised, harmless and bounded. */
import { describe, expect, test } from "vitest";
import { newOrganisation } from "../../support/client";
import { create, list, read } from "../../support/sessions";

function entries(count: number, value = "v"): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`key${i}`, value]));
}

/** A single entry that makes exactly so many bytes of JSON. */
function ofBytes(bytes: number, character = "x"): Record<string, string> {
  const size = new TextEncoder().encode(character).length;
  const room = bytes - '{"k":""}'.length;
  return { k: character.repeat(Math.floor(room / size)) + "y".repeat(room % size) };
}

describe("metadata is kept as it was given", () => {
  test.each<[string, Record<string, string>]>([
    ["empty", {}],
    ["with an empty text", { mode: "" }],
    ["with 16 entries", entries(16)],
    ["of 2 KB", ofBytes(2_048)],
    ["of 2 KB with characters of four bytes", ofBytes(2_048, "😀")],
    ["with a name of 64 characters", { ["n".repeat(64)]: "v" }],
    ["in scripts that read from the right", { שם: "مرحبا" }],
    ["with joined emoji", { team: "👩‍👩‍👧" }],
  ])("%s", async (_, metadata) => {
    const { key } = await newOrganisation();
    const { body, text } = await create(key, { metadata });
    expect(body.metadata, text).toEqual(metadata);
    expect((await read(key, body.session_id)).body.metadata).toEqual(metadata);
    expect((await list(key)).body.sessions[0].metadata).toEqual(metadata);
  });
});

test("metadata is shown as null where none was given", async () => {
  const { key } = await newOrganisation();
  expect((await create(key)).body.metadata).toBeNull();
});

test("names and texts of metadata are NFC-normalised", async () => {
  const { key } = await newOrganisation();
  const { body } = await create(key, { metadata: { "cafe\u0301": "A\u030angstro\u0308m" } });
  expect(body.metadata).toEqual({ "caf\u00e9": "\u00c5ngstr\u00f6m" });
});

describe("metadata is refused", () => {
  test.each<[string, unknown, string]>([
    ["as text", "mode", "metadata must be an object of strings"],
    ["as an array", ["mode"], "metadata must be an object of strings"],
    ["with a number", { rank: 1 }, "metadata.rank must be a string"],
    ["with null", { rank: null }, "metadata.rank must be a string"],
    ["with an object", { rank: {} }, "metadata.rank must be a string"],
    ["with 17 entries", entries(17), "at most 16 entries"],
    ["of more than 2 KB", ofBytes(2_049), "at most 2 KB"],
    ["of more than 2 KB in few characters", ofBytes(2_049, "😀"), "at most 2 KB"],
    ["of more than 2 KB in small texts", entries(16, "x".repeat(150)), "at most 2 KB"],
    ["with a line break", { a: "one\ntwo" }, "control characters"],
    ["with a NUL", { a: "\u0000" }, "control characters"],
    ["with a delete character", { a: "\u007f" }, "control characters"],
    ["with a C1 control character", { a: "\u0085" }, "control characters"],
    ["with a right-to-left override", { a: "\u202etxt.exe" }, "bidirectional overrides"],
    ["with a bidirectional isolate", { a: "\u2066x" }, "bidirectional overrides"],
    ["with a right-to-left mark", { a: "x\u200f" }, "bidirectional overrides"],
    ["with half a surrogate pair", { a: "\ud83d" }, "valid Unicode"],
    ["with a control character in a name", { "a\u0007": "x" }, "control characters"],
    ["with an override in a name", { "a\u202e": "x" }, "bidirectional overrides"],
    ["with an empty name", { "": "x" }, "must have 1 to 64 characters"],
    ["with a name of 65 characters", { ["n".repeat(65)]: "x" }, "must have 1 to 64 characters"],
  ])("%s, and the error names the rule", async (_, metadata, rule) => {
    const { key } = await newOrganisation();
    const { status, body } = await create(key, { metadata });
    expect(status).toBe(400);
    expect(body.message).toContain(rule);
    expect(body.message).toContain("metadata");
    expect((await list(key)).body.total_count).toBe(0);
  });

  test("without repeating harmful text from it", async () => {
    const { key } = await newOrganisation();
    const { body } = await create(key, { metadata: { "a\u202e\u0007": 1 } });
    expect(body.message).toContain("metadata");
    expect(body.message).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
  });
});
