/** The data of the event which says that D1 is nearly full. */

/** The data of `service.database_filling`. */
export interface DatabaseEventData {
  database: {
    bytes: number;
    limitBytes: number;
    /** Whether it is so full that creates are refused. */
    isFull: boolean;
  };
}
