-- Self-checking test bench of bipolar, VHDL-2008. In GHDL:
--   ghdl -a --std=08 $(cat filelist.f) tb/bipolar_tb.vhd
--   ghdl --elab-run --std=08 bipolar_tb --ieee-asserts=disable -gSAMPLES=100
-- Generics: SAMPLES vectors, DIR folder that holds tb/.
library ieee;
use ieee.std_logic_1164.all;
use std.textio.all;

entity bipolar_tb is
  generic (
    SAMPLES : natural := 1024;
    DIR : string := ".");
end entity bipolar_tb;

architecture bench of bipolar_tb is
  constant LATENCY : natural := 4;
  constant SPACING : positive := 1;
  signal clk : std_logic := '0';
  signal rst : std_logic := '1';
  signal in_valid : std_logic := '0';
  signal out_valid : std_logic;
  signal i0_port : std_logic_vector(15 downto 0) := (others => '1');
  signal o0_port : std_logic_vector(29 downto 0);
  signal o1_port : std_logic_vector(2 downto 0);
  signal o2_port : std_logic_vector(5 downto 0);
begin

  dut : entity work.bipolar
    port map (
      clk => clk,
      rst => rst,
      in_valid => in_valid,
      out_valid => out_valid,
      in_x => i0_port,
      out_matmul_6 => o0_port,
      out_argmax_7 => o1_port,
      out_topk_8_1 => o2_port);

  main : process
    file i0_file : text open read_mode is DIR & "/tb/in_x.hex";
    variable i0_vector : std_logic_vector(15 downto 0);
    file o0_file : text open read_mode is DIR & "/tb/out_matmul_6.hex";
    variable o0_vector : std_logic_vector(29 downto 0);
    file o1_file : text open read_mode is DIR & "/tb/out_argmax_7.hex";
    variable o1_vector : std_logic_vector(2 downto 0);
    file o2_file : text open read_mode is DIR & "/tb/out_topk_8_1.hex";
    variable o2_vector : std_logic_vector(5 downto 0);
    type edges_t is array (0 to SAMPLES) of natural;
    variable row : line;
    variable edges : natural := 0;       -- rising edges seen
    variable first : integer := -1;      -- edge that samples vector 0
    variable sent : natural := 0;
    variable sent_at : edges_t;
    variable ready : natural := 8;     -- edges to see before the next vector
    variable finish : natural := 8 + LATENCY + 4;  -- and before the end
    variable received : natural := 0;
    variable mismatches : natural := 0;
    variable measured : integer := -1;   -- latency seen, -1 before the first output
    variable last : integer := -1;       -- edge of the latest output
    variable interval : natural := 0;    -- smallest distance of two outputs
    variable wrong : boolean;
  begin
    loop
      clk <= '0';
      rst <= '1' when edges < 4 else '0';
      if edges >= ready and sent < SAMPLES then
        if sent = 0 then
          first := edges + 1;
        end if;
        sent_at(sent) := edges + 1;
        ready := edges + SPACING;
        finish := edges + LATENCY + 5;
        if 4 * sent >= 3 * SAMPLES then
          ready := ready + sent mod 3;
        end if;
        in_valid <= '1';
        readline(i0_file, row);
        hread(row, i0_vector);
        i0_port <= i0_vector;
        sent := sent + 1;
      else
        in_valid <= '0';
        i0_port <= (others => '1') when edges mod 2 = 1 else (others => '0');
      end if;
      if sent = SAMPLES and edges > finish then
        mismatches := mismatches + (SAMPLES - received);
        if interval = 0 then
          interval := SPACING;
        end if;
        write(row, string'("WEFT_TB samples="));
        write(row, SAMPLES);
        write(row, string'(" mismatches="));
        write(row, mismatches);
        write(row, string'(" latency="));
        write(row, measured);
        write(row, string'(" interval="));
        write(row, interval);
        writeline(output, row);
        wait;  -- nothing moves any more: the simulation ends
      end if;
      wait for 5 ns;

      -- What stands at the outputs when clk rises is what a following stage samples at this edge.
      edges := edges + 1;
      if rst = '0' and out_valid = '1' then
        if received >= SAMPLES then
          mismatches := mismatches + 1;
        else
          wrong := edges /= sent_at(received) + LATENCY;
          readline(o0_file, row);
          hread(row, o0_vector);
          wrong := wrong or o0_port /= o0_vector;
          readline(o1_file, row);
          hread(row, o1_vector);
          wrong := wrong or o1_port /= o1_vector;
          readline(o2_file, row);
          hread(row, o2_vector);
          wrong := wrong or o2_port /= o2_vector;
          if wrong then
            mismatches := mismatches + 1;
            if mismatches <= 10 then
              report "vector " & integer'image(received) & " differs at edge " & integer'image(edges) severity note;
            end if;
          end if;
          if measured < 0 then
            measured := edges - first;
          elsif interval = 0 or edges - last < interval then
            interval := edges - last;
          end if;
          last := edges;
          received := received + 1;
        end if;
      end if;
      clk <= '1';
      wait for 5 ns;
    end loop;
  end process;

end architecture bench;
