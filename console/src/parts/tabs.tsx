/** The ways between parts of a page: its tabs, and the way back from one thing to the list of all. */
import { href } from "../routes";

/** One part of a page. */
export interface Tab {
  title: string;
  /** The parts of its address. */
  to: readonly string[];
  current: boolean;
}

interface TabsProps {
  /** What the tabs are of, for those who hear it. */
  label: string;
  tabs: readonly Tab[];
}

/** The parts of a page. Each has an address of its own. */
export function Tabs({ label, tabs }: TabsProps) {
  return (
    <nav class="tabs" aria-label={label}>
      {tabs.map(({ title, to, current }) => (
        <a key={title} href={href(...to)} aria-current={current ? "page" : undefined}>
          {title}
        </a>
      ))}
    </nav>
  );
}

/** The way back to a list. */
export function Back({ to, children }: { to: readonly string[]; children: string }) {
  return (
    <p class="back">
      <a href={href(...to)}>{children}</a>
    </p>
  );
}
