/** Load on Redis, of which there is always the same amount under way. */

export interface Load {
  /** How many operations have begun. */
  readonly begun: number;
  /** How many have ended, and were seen to have had the effect that they should. */
  readonly ended: number;
  /** Begins so many operations at each node; on each that ends another follows. */
  begin(atEach: number): void;
  /** No operation follows any more. */
  drain(): void;
}
