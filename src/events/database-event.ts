/** What the event about a D1 that fills tells. */

/** The data of `service.database_filling`. */
export interface DatabaseEventData {
  database: {
    bytes: number;
    limitBytes: number;
    /** Whether creates are refused. */
    isFull: boolean;
  };
}
