import fc from "fast-check";
import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import { deriveSecret, signWebhook, verifyWebhook } from "../../src/outbound/standard-webhooks";

/** The test vector that the libraries of Standard Webhooks share. */
const VECTOR = {
  secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
  id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
  timestampSeconds: 1614265330,
  body: '{"test": 2432232314}',
  signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
};
const ROOT = "a root secret of the deployment, for tests only";
const OLD = deriveSecret(ROOT, "organisation/12", 1);
const NEW = deriveSecret(ROOT, "organisation/12", 2);
const OTHER = deriveSecret(ROOT, "organisation/13", 1);

const CONTENT = {
  id: "01890a5d-ac96-774b-bcce-b302099a8057",
  timestampSeconds: 1_700_000_000,
  body: '{"type":"session.active","data":{"name":"Zürich – 東京"}}',
};
const verify = (overrides: Partial<Parameters<typeof verifyWebhook>[0]>) =>
  verifyWebhook({
    ...CONTENT,
    secrets: [OLD],
    signatureHeader: signWebhook({ ...CONTENT, secrets: [OLD] }),
    nowSeconds: CONTENT.timestampSeconds,
    toleranceSeconds: 300,
    ...overrides,
  });

describe("deriving a signing secret", () => {
  test("gives whsec_ and base64 of 32 bytes, the same every time", () => {
    expect(OLD).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(deriveSecret(ROOT, "organisation/12", 1)).toBe(OLD);
  });

  test("follows RFC 5869, so that a release leaves receivers their secrets", () => {
    // Computed separately, with another implementation of HMAC.
    expect(OLD).toBe("whsec_7I+71038EGq57QatXqDKQs1yipCl87F7BfPx1Uvjxd8=");
  });

  test("gives another secret for another root, owner or version, however similar they are", () => {
    const secrets = [
      deriveSecret(ROOT, "organisation/1", 1),
      deriveSecret(`${ROOT}2`, "organisation/1", 1),
      deriveSecret(ROOT, "organisation/1", 11),
      deriveSecret(ROOT, "organisation/11", 1),
      deriveSecret(ROOT, "organisation/1/1", 1),
      deriveSecret(ROOT, "1/organisation/1", 1),
      deriveSecret(ROOT, "organisation/1/", 1),
      deriveSecret(ROOT, "endpoint/1", 1),
    ];
    expect(new Set(secrets).size).toBe(secrets.length);
  });

  test.each([
    ["", "organisation/1", 1],
    [ROOT, "", 1],
    [ROOT, "organisation/1", -1],
    [ROOT, "organisation/1", 1.5],
    [ROOT, "organisation/1", Number.NaN],
  ])("throws on a root, owner or version that makes no sense: %j %j %j", (root, owner, version) => {
    expect(() => deriveSecret(root, owner, version)).toThrow(RangeError);
  });
});

describe("signing a webhook", () => {
  test("gives the signature of Standard Webhooks' own vector", () => {
    const { secret, signature, ...content } = VECTOR;
    expect(signWebhook({ ...content, secrets: [secret] })).toBe(signature);
    const accepted = verifyWebhook({
      ...content,
      secrets: [secret],
      signatureHeader: signature,
      nowSeconds: content.timestampSeconds,
      toleranceSeconds: 0,
    });
    expect(accepted).toBe(true);
  });

  test("signs once with each secret, in their order", () => {
    const [first, second, ...rest] = signWebhook({ ...CONTENT, secrets: [NEW, OLD] }).split(" ");
    expect(first).toBe(signWebhook({ ...CONTENT, secrets: [NEW] }));
    expect(second).toBe(signWebhook({ ...CONTENT, secrets: [OLD] }));
    expect(rest).toEqual([]);
  });

  test.each([
    [{ secrets: [] }],
    [{ secrets: [OLD, ""] }],
    [{ secrets: ["whsec_"] }],
    [{ secrets: [OLD.slice("whsec_".length)] }],
    [{ secrets: ["whsec_not base64"] }],
    [{ id: "" }],
    [{ id: "evt.1" }],
    [{ timestampSeconds: 1.5 }],
    [{ timestampSeconds: -1 }],
  ])("throws rather than send what a receiver cannot verify: %j", (wrong) => {
    expect(() => signWebhook({ ...CONTENT, secrets: [OLD], ...wrong })).toThrow(RangeError);
  });

  test("keeps a wrong secret out of the message that it throws", () => {
    expect(() => signWebhook({ ...CONTENT, secrets: ["whsec_c2VjcmV0!"] })).not.toThrow(/c2VjcmV0/);
  });
});

describe("a receiver with the library of Standard Webhooks", () => {
  // The library reads the clock itself and takes no time as an argument.
  const timestampSeconds = Math.floor(Date.now() / 1000);
  const headers = (signature: string) => ({
    "webhook-id": CONTENT.id,
    "webhook-timestamp": String(timestampSeconds),
    "webhook-signature": signature,
  });

  test("accepts what we sign, and reads the body that we sent", () => {
    const signature = signWebhook({ ...CONTENT, timestampSeconds, secrets: [OLD] });
    const received = new Webhook(OLD).verify(CONTENT.body, headers(signature));
    expect(received).toEqual(JSON.parse(CONTENT.body));
  });

  test("accepts with the old and with the new secret while a rotation is in its grace", () => {
    const signature = signWebhook({ ...CONTENT, timestampSeconds, secrets: [NEW, OLD] });
    for (const secret of [OLD, NEW]) {
      const received = new Webhook(secret).verify(CONTENT.body, headers(signature));
      expect(received).toEqual(JSON.parse(CONTENT.body));
    }
    expect(() => new Webhook(OTHER).verify(CONTENT.body, headers(signature))).toThrow();
  });

  test("agrees with us on any body", () => {
    fc.assert(
      fc.property(fc.json({ stringUnit: "grapheme" }), (body) => {
        const ours = signWebhook({ ...CONTENT, body, secrets: [OLD] });
        const date = new Date(CONTENT.timestampSeconds * 1000);
        expect(new Webhook(OLD).sign(CONTENT.id, date, body)).toBe(ours);
      }),
    );
  });
});

describe("verifying a signature", () => {
  test("accepts one of any current secret, among those of others and of unknown versions", () => {
    const signatureHeader = [
      "v1a,AAAA",
      "v2,AAAA",
      "v1,",
      "nonsense",
      signWebhook({ ...CONTENT, secrets: [OTHER, OLD] }),
    ].join(" ");
    expect(verify({ signatureHeader, secrets: [NEW, OLD] })).toBe(true);
    expect(verify({ signatureHeader, secrets: [NEW] })).toBe(false);
  });

  test.each([
    ["from 300 s ago", 300, true],
    ["from 301 s ago", 301, false],
    ["from 300 s ahead", -300, true],
    ["from 301 s ahead", -301, false],
  ])("allows a tolerance of 300 s, with a timestamp %s", (_, age, expected) => {
    expect(verify({ nowSeconds: CONTENT.timestampSeconds + age })).toBe(expected);
  });

  test("refuses nonsense from the network without a throw", () => {
    const { signatureHeader, nowSeconds } = { signatureHeader: "", nowSeconds: Number.NaN };
    expect(verify({ signatureHeader })).toBe(false);
    expect(verify({ signatureHeader: "v1" })).toBe(false);
    expect(verify({ signatureHeader: "v1,é" })).toBe(false);
    expect(verify({ timestampSeconds: nowSeconds })).toBe(false);
    expect(verify({ timestampSeconds: Number.POSITIVE_INFINITY })).toBe(false);
    expect(verify({ id: "" })).toBe(false);
    expect(verify({ secrets: [] })).toBe(false);
  });

  test("refuses a full stop in the id, which could move the border to the timestamp", () => {
    // Without that border, "a" + "." + "1.2…" and "a.1" + "." + "2…" would be one signed text.
    const signed = { id: "a", timestampSeconds: 17, body: "1700000000.{}" };
    const moved = { id: "a.17", timestampSeconds: 1_700_000_000, body: "{}" };
    const signatureHeader = signWebhook({ ...signed, secrets: [OLD] });
    expect(verify({ ...moved, signatureHeader })).toBe(false);
  });

  test("refuses when any byte of the signature, the body, the id or the secret is changed", () => {
    const signatureHeader = signWebhook({ ...CONTENT, secrets: [OLD] });
    const flipped = (text: string) =>
      fc
        .record({
          at: fc.integer({ min: 0, max: text.length - 1 }),
          bit: fc.integer({ min: 0, max: 6 }),
        })
        .map(({ at, bit }) => {
          const changed = String.fromCharCode(text.charCodeAt(at) ^ (1 << bit));
          return text.slice(0, at) + changed + text.slice(at + 1);
        });
    const change = fc.oneof(
      flipped(signatureHeader).map((header) => ({ signatureHeader: header })),
      flipped(CONTENT.body).map((body) => ({ body })),
      flipped(CONTENT.id).map((id) => ({ id })),
      fc.integer({ min: 0, max: 7 }).map((bit) => ({
        timestampSeconds: CONTENT.timestampSeconds ^ (1 << bit),
      })),
      fc.integer({ min: 0, max: 31 }).map((at) => {
        const bytes = Buffer.from(OLD.slice("whsec_".length), "base64");
        bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
        return { secrets: [`whsec_${bytes.toString("base64")}`] };
      }),
    );
    expect(verify({})).toBe(true);
    fc.assert(
      fc.property(change, (overrides) => {
        expect(verify({ signatureHeader, ...overrides })).toBe(false);
      }),
      { numRuns: 1000 },
    );
  });
});
