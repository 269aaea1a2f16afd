/**
 * The address of a user is an IPv4 or IPv6 address, kept in one spelling. Nothing else is taken.
 */
import { describe, expect, test } from "vitest";
import { newOrganisation } from "../../support/client";
import { authorize, create } from "../../support/sessions";

const SPELLINGS: [written: string, kept: string][] = [
  ["1.1.1.1", "1.1.1.1"],
  ["0.0.0.0", "0.0.0.0"],
  ["255.255.255.255", "255.255.255.255"],
  ["2001:DB8::1", "2001:db8::1"],
  ["2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
  ["::", "::"],
  ["::1", "::1"],
  ["fe80:0:0:0:0:0:0:1", "fe80::1"],
  ["::ffff:1.2.3.4", "1.2.3.4"],
  ["::FFFF:1.2.3.4", "1.2.3.4"],
  ["::ffff:102:304", "1.2.3.4"],
  ["0:0:0:0:0:ffff:1.2.3.4", "1.2.3.4"],
  // IPv4-compatible, not IPv4-mapped: another address than 1.2.3.4.
  ["::1.2.3.4", "::102:304"],
];

const NO_ADDRESSES: unknown[] = [
  "",
  " ",
  "localhost",
  "example.com",
  "1.2.3",
  "1.2.3.4.5",
  "1.2.3.256",
  "1.2.3.-4",
  "01.2.3.4",
  "0x7f.0.0.1",
  "0x7f000001",
  "2130706433",
  " 1.2.3.4",
  "1.2.3.4 ",
  "1.2.3.4\n",
  "1.2.3.4:80",
  "1.2.3.4/24",
  "１.2.3.4",
  ":",
  ":::",
  "1::2::3",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "00001::1",
  "12345::1",
  "g::1",
  "[::1]",
  "[::1]:80",
  "fe80::1%eth0",
  "2001:db8::/32",
  "::ffff:1.2.3",
  "::ffff:1.2.3.256",
  "::ffff:010.0.0.1",
  "::ffff:0x7f.0.0.1",
  1,
  16_843_009,
  true,
  ["1.1.1.1"],
  { ip: "1.1.1.1" },
];

describe("the address of a user in a create", () => {
  test.each(SPELLINGS)("is kept, when it is %s, as %s", async (written, kept) => {
    const { key } = await newOrganisation();
    const { body, text } = await create(key, { users: [{ ip: written }] });
    expect(body.session_users?.[0].ip_address, text).toBe(kept);
  });

  test.each(NO_ADDRESSES)("may not be %j", async (ip) => {
    const { key } = await newOrganisation();
    const { status, body } = await create(key, { users: [{ ip: "1.1.1.1" }, { ip }] });
    expect(status).toBe(400);
    expect(body.message).toBe("users.1.ip must be an IPv4 or IPv6 address.");
  });
});

describe("the address of a user who is authorised later", () => {
  test("is kept in the same spelling, whichever was sent", async () => {
    const { key } = await newOrganisation();
    const { session_id: id } = (await create(key)).body;
    for (const [written, kept] of SPELLINGS) {
      const { body, text } = await authorize(key, id, written);
      expect(body.session_user?.ip_address, text).toBe(kept);
    }
  });

  test.each(NO_ADDRESSES)("may not be %j", async (ip) => {
    const { key } = await newOrganisation();
    const { session_id: id } = (await create(key)).body;
    const { status, body } = await authorize(key, id, ip as string);
    expect(status).toBe(400);
    expect(body.message).toBe("user_ip must be an IPv4 or IPv6 address.");
  });
});
