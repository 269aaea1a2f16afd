/** The regions in which sessions and relay nodes are, in words. Pure. */

/** Cloudflare's location hints, by name. */
export const REGIONS = {
  wnam: "Western North America",
  enam: "Eastern North America",
  sam: "South America",
  weur: "Western Europe",
  eeur: "Eastern Europe",
  apac: "Asia-Pacific",
  oc: "Oceania",
  afr: "Africa",
  me: "Middle East",
} as const;

/** The name of a region. */
export type Region = keyof typeof REGIONS;

/** A region in words; null: none was chosen. */
export function regionWords(region: string | null): string | null {
  return region === null ? null : (REGIONS[region as Region] ?? region);
}
