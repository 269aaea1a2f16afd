/** Where the service is, and the publishable key with which this page makes a game. `npm start` fills it in. */
export const url = location.origin;
export const key = "";
