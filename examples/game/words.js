/** What the page says when something is refused or has ended, in plain words. */

/**
 * Why no game could be made.
 * @param {any} error a RelayError of hostRelay
 */
export function whyNotHosted(error) {
  if (error.status === 401 || error.status === 403) {
    return "The service does not take the key of this page. Put a publishable key into config.js.";
  }
  if (error.status === 429) return `Too many games were made from here.${later(error)}`;
  return inGeneral(error);
}

/**
 * Why a game could not be joined.
 * @param {any} error a RelayError of joinRelay
 */
export function whyNotJoined(error) {
  if (error.status === 404)
    return "No game has this code. Check what you typed. Or the game is over.";
  if (error.code === "session-full")
    return "This game is full. Ask the others, or host a game of your own.";
  if (error.status === 429) return `Too many wrong codes from here.${later(error)}`;
  return inGeneral(error);
}

/**
 * Why a page that was loaded anew is not back in its game.
 * @param {any} error a RelayError of connectRelay
 */
export const whyNotBack = (error) => inGeneral(error);

/**
 * Why a connection has ended for good.
 * @param {number} code its close code
 */
export function whyEnded(code) {
  switch (code) {
    case 4409:
      return "You opened this game in another window. It goes on there.";
    case 4410:
    case 4404:
      return "This game is over. Host a new one.";
    case 4401:
    case 4403:
      return "Your place in this game was given away. Join again with the code.";
    default:
      return `The connection has ended (${code}). Join again with the code.`;
  }
}

function later({ retryAfter }) {
  return retryAfter ? ` Try again in ${retryAfter} seconds.` : " Try again in a minute.";
}

function inGeneral({ status, closeCode, message }) {
  // The call went well, and the websocket was refused.
  if (closeCode && closeCode !== 1006) return whyEnded(closeCode);
  if (!status) return "The service cannot be reached. Check your network, and try again.";
  return status >= 500 ? "The service has a problem. Try again in a moment." : message;
}
