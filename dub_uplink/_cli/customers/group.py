"""Group the commands for customers: ``dub-uplink customers``."""

from __future__ import annotations

import click

from dub_uplink._cli.lazy_group import LazyCommand, LazyGroup

EXAMPLES = """\b
Examples:
  dub-uplink customers list --country GB --limit 20
  dub-uplink customers get ext_user_1
  dub-uplink customers count --by country
  dub-uplink customers create --external-id user_1 --country GB --name Ada
  dub-uplink customers update ext_user_1 --name Ada --avatar null
  dub-uplink customers delete ext_user_1

\b
Exit codes:
  0  success
  1  some or all calls failed
  2  a mistake in the command line or in an input file
  3  no API key, or the server rejected the API key
  4  the customer does not exist
  5  no response, a rate limit or a server error
"""

COMMANDS = {
    "list": LazyCommand("customers.read:list_command", "List customers."),
    "get": LazyCommand("customers.read:get_command", "Show customers by id."),
    "count": LazyCommand("customers.read:count_command", "Count customers."),
    "create": LazyCommand("customers.write:create_command", "Create a customer, exactly once."),
    "update": LazyCommand("customers.write:update_command", "Update fields of a customer."),
    "delete": LazyCommand(
        "customers.write:delete_command", "Delete customers, after a confirmation."
    ),
    "export": LazyCommand("export.command:export_command", "Write customers to a file."),
    "import": LazyCommand(
        "import_job.command:import_command",
        "Create the customers in a file, each exactly once.",
    ),
}


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    help="List, count, change, import and export the customers of a workspace. A command with an"
    " argument ID accepts Dub's id (cus_...), or ext_ followed by an external id.",
    epilog=EXAMPLES,
)
def customers() -> None:
    """Group the commands for customers."""
