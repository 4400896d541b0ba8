import { Box, Link } from "@chakra-ui/react";

import type { AwsLink } from "./client";

/** Links to what a release has made in AWS; each opens a tab of its own. */
export const AwsLinks = ({ links, withTask = false }: { links: AwsLink[]; withTask?: boolean }) =>
  links.length === 0 ? undefined : (
    <Box as="ul" display="flex" flexWrap="wrap" gap={3} listStyleType="none">
      {links.map((one) => (
        <li key={`${one.task_id} ${one.name}`}>
          <Link color="fg.info" href={one.url} rel="noopener noreferrer" target="_blank" textDecoration="underline">
            {withTask ? `${one.name} (${one.task_id})` : one.name}
          </Link>
        </li>
      ))}
    </Box>
  );
