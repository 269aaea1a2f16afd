/** The address of the service, as the functions of this package are given it. Pure. */

/**
 * The address without a slash at its end.
 * @throws TypeError if it is no URL of http or https
 */
export function serviceUrl(url: string): string {
  // Not `URL.canParse`: browsers of 2022 do not have it.
  if (/^https?:\/\/[^\s/]+/i.test(url)) return String(url).replace(/\/+$/, "");
  throw new TypeError(`url begins with https:// or http://, and is ${url}`);
}
