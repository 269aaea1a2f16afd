/** `/` in a real browser. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startBrowser, type TestBrowser } from "../support/browser";

let browser: TestBrowser;

beforeAll(async () => {
  browser = await startBrowser();
});

afterAll(() => browser?.close());

test.each([1280, 360])("it says what this is, and fits a screen of %i pixels", async (width) => {
  const { page, errors, requests } = await browser.open({ viewport: { width, height: 740 } });
  await page.goto("/");
  await page.getByText("Drawbridge decides which devices may connect").waitFor();
  expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(width);
  expect(errors).toEqual([]);
  expect(requests.filter((url) => new URL(url).origin !== browser.origin)).toEqual([]);
});

test("its links lead to pages that are there", async () => {
  const { page } = await browser.open();
  await page.goto("/");
  const links = await page.getByRole("link").all();
  const paths = await Promise.all(links.map((link) => link.getAttribute("href")));
  expect(paths).toEqual(expect.arrayContaining(["/docs", "/openapi.json"]));
  for (const path of paths) {
    const answer = await page.goto(path ?? "");
    expect(answer?.status(), path ?? "").toBe(200);
  }
});

test("a person who opens the reference and goes back sees the page again, not the answer for programs", async () => {
  const { page, errors } = await browser.open();
  await page.goto("/");
  await page.getByRole("link", { name: "API reference" }).click();
  await page.locator(".opblock-tag").first().waitFor();
  await page.goBack();
  await page.getByText("Drawbridge decides which devices may connect").waitFor();
  expect(errors).toEqual([]);
});
