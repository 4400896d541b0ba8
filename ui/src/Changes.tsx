import { Box, Table, Text, VisuallyHidden } from "@chakra-ui/react";

import type { Comparison, Content } from "./client";
import { releaseName } from "./format";
import { Heads, Wide } from "./parts";

const differs = (one: Content) => one.new !== one.live;

/** What of a release's zip differs from the live one; on request everything that is in it. */
export const Changes = ({ comparison, whole = false }: { comparison: Comparison; whole?: boolean }) => {
  const live = releaseName(comparison.live_version);
  const changed = comparison.contents.filter(differs);
  return (
    <Box>
      {comparison.why_not ? <Text>{comparison.why_not}</Text> : undefined}
      {comparison.same_zip ? <Text fontWeight="semibold">{`This is the same zip as what is live (${live}).`}</Text> : undefined}
      {live && !comparison.same_zip && changed.length === 0 ? (
        <Text>{`The zip's bytes differ from those of ${live}; what they ask for is the same.`}</Text>
      ) : undefined}
      {live && changed.length > 0 ? <Contents contents={changed} live={live} title={`What differs from ${live}, which is live`} /> : undefined}
      {whole && comparison.contents.length > 0 ? (
        <details>
          <summary>Everything that is in the zip</summary>
          <Contents contents={comparison.contents} live={live} title="Everything that is in the zip" />
        </details>
      ) : undefined}
    </Box>
  );
};

const Contents = ({ contents, live, title }: { contents: Content[]; live: string; title: string }) => (
  <Wide label={`Table: ${title}`}>
    <Table.Root minW="36rem" size="sm" variant="line">
      <Table.Caption captionSide="top" textAlign="start">
        {title}
      </Table.Caption>
      <Heads of={["part", "name", "this release", ...(live ? [live] : [])]} />
      <Table.Body>
        {contents.map((one) => (
          <Table.Row key={`${one.part} ${one.name}`}>
            <Table.Cell>{one.part}</Table.Cell>
            <Table.ColumnHeader fontWeight="normal" overflowWrap="anywhere" scope="row">
              {one.name}
            </Table.ColumnHeader>
            <Cell marked={live !== "" && differs(one)} text={one.new} />
            {live ? <Cell text={one.live} /> : undefined}
          </Table.Row>
        ))}
      </Table.Body>
    </Table.Root>
  </Wide>
);

const Cell = ({ marked = false, text }: { marked?: boolean; text: string | null }) => (
  <Table.Cell fontWeight={marked ? "semibold" : undefined} overflowWrap="anywhere">
    {text ?? (
      <>
        <span aria-hidden="true">–</span>
        <VisuallyHidden>not in it</VisuallyHidden>
      </>
    )}
  </Table.Cell>
);
