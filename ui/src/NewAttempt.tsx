import { Box, Text } from "@chakra-ui/react";

import type { Versions } from "./client";
import { Problem } from "./parts";
import { StartButton } from "./StartButton";
import { usePoll } from "./usePoll";

/** What a run that was refused its version offers: a new attempt at this version, by one press. */
export const NewAttempt = ({ model, runId }: { model: string; runId: string }) => {
  const path = `releases/${encodeURIComponent(model)}/${encodeURIComponent(runId)}/version`;
  const { document: found, problem } = usePoll<Versions>(path);
  const version = found?.versions[0];
  return (
    <Box aria-label="New attempt" as="section">
      <Problem problem={problem} />
      {found && version ? (
        <>
          <Text mb={2}>
            {`This run has released nothing. A new attempt at ${version.name} trains a new model and asks for approval again.`}
          </Text>
          <StartButton label="Release this version again" model={model} refusal={found.refusal} version={version} />
        </>
      ) : undefined}
    </Box>
  );
};
