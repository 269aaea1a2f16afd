/** `drawbridge-client/relay`: connections to relay sessions. */
export {};
