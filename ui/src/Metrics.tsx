import { Box, Heading, Text } from "@chakra-ui/react";
import { useId } from "react";

import type { PastRelease } from "./client";
import { releaseName } from "./format";
import { Plot, type Point } from "./Plot";

/** Return the points of each number that releases have, the oldest release first. */
export const series = (releases: PastRelease[]): [string, Point[]][] => {
  const oldestFirst = [...releases].reverse();
  const names = [...new Set(oldestFirst.flatMap((one) => Object.keys(one.measured)))];
  return names.map((name) => [
    name,
    oldestFirst.flatMap((one) => {
      const value = one.measured[name];
      return value === undefined
        ? []
        : [{ filled: Boolean(one.reached_production_at), key: one.run_id, label: releaseName(one.version) || one.run_id, value }];
    }),
  ]);
};

/** The numbers of the releases that a page shows, as plots. */
export const Metrics = ({ releases }: { releases: PastRelease[] }) => {
  const id = useId();
  const found = series(releases);
  if (found.length === 0) {
    return undefined;
  }
  return (
    <Box as="section" aria-labelledby={id} mt={5}>
      <Heading as="h2" id={id} mb={1} size="md">
        Metrics and latencies
      </Heading>
      <Text color="fg.muted" fontSize="sm" mb={2}>
        Of the releases listed above, the oldest on the left. A full dot came to production, an empty one did not.
      </Text>
      <Box display="grid" gap={3} gridTemplateColumns="repeat(auto-fill, minmax(min(18rem, 100%), 1fr))">
        {found.map(([name, points]) => (
          <Plot key={name} points={points} title={name} />
        ))}
      </Box>
    </Box>
  );
};
