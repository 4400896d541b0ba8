import { Box, Text } from "@chakra-ui/react";
import { useId } from "react";

import { short } from "./Plot";
import { useNarrow } from "./useNarrow";

/** A line: one value for each time, undefined where there is none. */
export type Line = { color: string; dash?: string; name: string; values: (number | undefined)[] };
/** A moment in which something happened, and its number in the list below the plots. */
export type NumberedMark = { at: number; number: number; say: string };

type Props = { lines: Line[]; marks: NumberedMark[]; since: number; step: number; title: string; unit: string; until: number };

// In units of the drawing, which is as wide as its place: fewer in a narrow window, so that the numbers stay readable.
const WIDTH = 460;
const NARROW_WIDTH = 320;
const HEIGHT = 170;
// Room for the marks' numbers, in rows where they are close together.
const TOP = 40;
const ROW = 11;
const BOTTOM = 8;

/** Split a line where it has no value: a time without one is not drawn over. */
export const pieces = (values: (number | undefined)[]): [number, number][][] => {
  const found: [number, number][][] = [];
  let open: [number, number][] | undefined;
  values.forEach((value, index) => {
    if (value === undefined) {
      open = undefined;
    } else if (open) {
      open.push([index, value]);
    } else {
      open = [[index, value]];
      found.push(open);
    }
  });
  return found;
};

/** Write a moment in UTC, as the plots' axis does. */
export const utc = (at: number) => new Date(at).toISOString().slice(0, 16).replace("T", " ");

const CLOSE = 14;

/** Put the numbers of marks that are close together below one another, so that each can be read. */
const rows = (places: number[]) => {
  const last: number[] = [];
  return places.map((place) => {
    const row = last.findIndex((one) => place - one > CLOSE);
    const chosen = row >= 0 ? row : last.length % 3;
    last[chosen] = place;
    return chosen;
  });
};

/** Lines over time, with marks; the values are in the table below the plots. */
export const TimePlot = ({ lines, marks, since, step, title, unit, until }: Props) => {
  const id = useId();
  const width = useNarrow() ? NARROW_WIDTH : WIDTH;
  const values = lines.flatMap((line) => line.values.filter((one) => one !== undefined));
  const highest = Math.max(...values, 0);
  const x = (at: number) => (width * (at - since)) / Math.max(1, until - since);
  const y = (value: number) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * value) / (highest || 1);
  const middle = (index: number) => since + (index + 0.5) * step;
  const heights = rows(marks.map((one) => x(one.at)));
  return (
    <Box as="figure" aria-labelledby={id} borderRadius="md" borderWidth="1px" m={0} minW={0} p={3}>
      <Text as="figcaption" fontWeight="semibold" id={id}>
        {title}
      </Text>
      <Text color="fg.muted" fontSize="sm">{`from 0 to ${short(highest)}${unit}`}</Text>
      <Box as="ul" aria-hidden="true" columnGap={3} display="flex" flexWrap="wrap" fontSize="sm" listStyleType="none">
        {lines.map((line) => (
          <Box alignItems="center" as="li" display="flex" gap={1} key={line.name}>
            <Box asChild color={line.color}>
              <svg height="8" width="24">
                <line stroke="currentColor" strokeDasharray={line.dash} strokeWidth="2" x1="0" x2="24" y1="4" y2="4" />
              </svg>
            </Box>
            {line.name}
          </Box>
        ))}
      </Box>
      <Box asChild h="auto" w="full">
        <svg
          aria-label={`${title} from ${utc(since)} to ${utc(until)} UTC, at most ${short(highest)}${unit}, with ${marks.length} marks; the table has each value`}
          role="img"
          viewBox={`0 0 ${width} ${HEIGHT}`}
        >
          {[0, highest / 2, highest].map((value, index) => (
            <line
              key={index}
              stroke="currentColor"
              strokeOpacity={index === 0 ? 0.5 : 0.15}
              x1="0"
              x2={width}
              y1={y(value)}
              y2={y(value)}
            />
          ))}
          {marks.map((mark, index) => (
            <g key={mark.number}>
              <line
                stroke="currentColor"
                strokeDasharray="3 3"
                strokeOpacity="0.6"
                x1={x(mark.at)}
                x2={x(mark.at)}
                y1={ROW * ((heights[index] ?? 0) + 1) + 2}
                y2={HEIGHT - BOTTOM}
              />
              <text
                fill="currentColor"
                style={{ fontSize: "10px" }}
                textAnchor={x(mark.at) > width - 10 ? "end" : x(mark.at) < 10 ? "start" : "middle"}
                x={x(mark.at)}
                y={ROW * ((heights[index] ?? 0) + 1)}
              >
                {mark.number}
              </text>
              <title>{`${utc(mark.at)} UTC: ${mark.say}`}</title>
            </g>
          ))}
          {lines.map((line) => (
            <Box asChild color={line.color} key={line.name}>
              <g>
                {pieces(line.values).map((piece) =>
                  piece.length === 1 ? (
                    piece.map(([index, value]) => (
                      <circle cx={x(middle(index))} cy={y(value)} fill="currentColor" key={index} r="2" />
                    ))
                  ) : (
                    <polyline
                      fill="none"
                      key={piece[0]?.[0]}
                      points={piece.map(([index, value]) => `${x(middle(index)).toFixed(1)},${y(value).toFixed(1)}`).join(" ")}
                      stroke="currentColor"
                      strokeDasharray={line.dash}
                      strokeWidth="1.5"
                    />
                  ),
                )}
              </g>
            </Box>
          ))}
        </svg>
      </Box>
      <Box aria-hidden="true" color="fg.muted" display="flex" fontSize="xs" justifyContent="space-between">
        <span>{utc(since)}</span>
        <span>{`${utc(until)} UTC`}</span>
      </Box>
    </Box>
  );
};
