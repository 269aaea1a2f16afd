/** Places on Earth, and how far they are from each other. Pure. */

/** In degrees. */
export interface Place {
  latitude: number;
  longitude: number;
}

/** About the middle of each region, where most of its people are: Durable Object location hints. */
const REGIONS: Readonly<Record<string, Place>> = {
  wnam: { latitude: 37, longitude: -119 },
  enam: { latitude: 40, longitude: -77 },
  sam: { latitude: -20, longitude: -50 },
  weur: { latitude: 49, longitude: 4 },
  eeur: { latitude: 51, longitude: 21 },
  apac: { latitude: 23, longitude: 114 },
  oc: { latitude: -33, longitude: 149 },
  afr: { latitude: -13, longitude: 26 },
  me: { latitude: 26, longitude: 51 },
};

/** About the middle of a region; null: it is not one. */
export function placeOfRegion(region: string): Place | null {
  return REGIONS[region] ?? null;
}

const EARTH_RADIUS_KM = 6_371;

/** The distance on the great circle, in kilometres (the haversine formula). */
export function kilometresBetween(a: Place, b: Place): number {
  const radians = (degrees: number) => (degrees * Math.PI) / 180;
  const half = (from: number, to: number) => Math.sin(radians(to - from) / 2) ** 2;
  const h =
    half(a.latitude, b.latitude) +
    Math.cos(radians(a.latitude)) * Math.cos(radians(b.latitude)) * half(a.longitude, b.longitude);
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.sqrt(Math.min(1, h)));
}
