import { Box, Table, Text } from "@chakra-ui/react";
import { useId } from "react";

import { Heads, Wide } from "./parts";

export type Point = { filled: boolean; key: string; label: string; value: number };

const WIDTH = 320;
const HEIGHT = 120;
const LEFT = 8;
const TOP = 10;

/** Write a number to four digits. */
export const short = (value: number) => String(Number(value.toPrecision(4)));

/** One line over releases, the oldest first. Every value is also in a table, for keyboards and screen readers. */
export const Plot = ({ points, title }: { points: Point[]; title: string }) => {
  const id = useId();
  const values = points.map((one) => one.value);
  const [lowest, highest] = [Math.min(...values), Math.max(...values)];
  const newest = points[points.length - 1];
  if (!newest) {
    return undefined;
  }
  const x = (index: number) => LEFT + ((WIDTH - 2 * LEFT) * (index + 0.5)) / points.length;
  const y = (value: number) =>
    highest === lowest ? HEIGHT / 2 : TOP + ((HEIGHT - 2 * TOP) * (highest - value)) / (highest - lowest);
  const line = points.map((one, index) => `${x(index).toFixed(1)},${y(one.value).toFixed(1)}`).join(" ");
  return (
    <Box as="figure" aria-labelledby={id} borderRadius="md" borderWidth="1px" m={0} p={3}>
      <Text as="figcaption" fontWeight="semibold" id={id}>
        {title}
      </Text>
      <Text color="fg.muted" fontSize="sm">
        {`${newest.label}: ${short(newest.value)}; from ${short(lowest)} to ${short(highest)}`}
      </Text>
      <Box asChild color="blue.fg" h="auto" w="full">
        <svg
          aria-label={`${title} over ${points.length} releases, from ${short(lowest)} to ${short(highest)}; the table has each value`}
          role="img"
          viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        >
          <line stroke="currentColor" strokeOpacity="0.3" x1="0" x2={WIDTH} y1={HEIGHT - 1} y2={HEIGHT - 1} />
          <polyline fill="none" points={line} stroke="currentColor" strokeWidth="1.5" />
          {points.map((one, index) => (
            <circle
              cx={x(index)}
              cy={y(one.value)}
              fill={one.filled ? "currentColor" : "var(--chakra-colors-bg)"}
              key={one.key}
              r="4"
              stroke="currentColor"
              strokeWidth="1.5"
            >
              <title>{`${one.label}: ${short(one.value)}`}</title>
            </circle>
          ))}
        </svg>
      </Box>
      <details>
        <summary>{`${title} as a table`}</summary>
        <Wide label={`${title} as a table`}>
          <Table.Root size="sm">
            <Heads of={["release", "value", "production"]} />
            <Table.Body>
              {points.map((one) => (
                <Table.Row key={one.key}>
                  <Table.ColumnHeader fontWeight="normal" scope="row">
                    {one.label}
                  </Table.ColumnHeader>
                  <Table.Cell>{short(one.value)}</Table.Cell>
                  <Table.Cell>{one.filled ? "deployed" : "–"}</Table.Cell>
                </Table.Row>
              ))}
            </Table.Body>
          </Table.Root>
        </Wide>
      </details>
    </Box>
  );
};
